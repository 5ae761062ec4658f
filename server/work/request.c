#include "server/work/request.h"

#include "server/work/provider_env.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

static bool needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/* A JSON string.  `bytes` is UTF-8, which the services checked, so only ASCII is ever escaped. */
static void add_string(struct text *line, const char *bytes, size_t size)
{
    text_add_string(line, "\"");
    for (size_t at = 0; at < size;) {
        size_t plain = at;

        while (plain < size && !needs_escape(bytes[plain]))
            plain++;
        text_add(line, bytes + at, plain - at);
        at = plain;
        if (at < size)
            text_format(line, "\\u%04x", (unsigned)(unsigned char)bytes[at++]);
    }
    text_add_string(line, "\"");
}

void request_write(const struct engine_lease *lease, uint64_t run_ms, struct text *line)
{
    const char *variable = provider_env_name(lease->provider);

    text_format(line, "{\"id\":%" PRIu64 ",\"provider\":", lease->id);
    add_string(line, lease->provider, strlen(lease->provider));
    text_add_string(line, ",\"api_key\":");
    if (lease->api_key == NULL)
        add_string(line, "", 0);
    else
        add_string(line, secret_bytes(lease->api_key), secret_size(lease->api_key));
    text_add_string(line, ",\"env_var\":");
    if (variable == NULL)
        text_add_string(line, "null");
    else
        add_string(line, variable, strlen(variable));
    text_format(line, ",\"timeout_ms\":%" PRIu64 "}\n", run_ms);
}
