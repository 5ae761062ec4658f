/* Event topics. */
#include "proto/topic.h"

#include <string.h>

size_t topic_write(const char *home, char *out)
{
    size_t prefix_size = sizeof TOPIC_HOME - 1;
    size_t home_size = strnlen(home, LIMIT_HOME_SIZE_MAX);

    memcpy(out, TOPIC_HOME, prefix_size);
    memcpy(out + prefix_size, home, home_size);
    out[prefix_size + home_size] = '\n';
    return prefix_size + home_size + 1;
}

size_t topic_size(const void *message, size_t size)
{
    const char *end = size == 0 ? NULL : memchr(message, '\n', size);

    return end == NULL ? 0 : (size_t)(end - (const char *)message) + 1;
}
