/* Makes a program believe that the machine has more processors: nng 1.5.2 starts two task threads for each.
 *
 *     LD_PRELOAD=libbench-processors.so BENCH_PROCESSORS=8 PROGRAM… */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((visibility("default"))) long sysconf(int name)
{
    const char *count = getenv("BENCH_PROCESSORS");
    long (*real)(int name);

    if ((name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF) && count != NULL)
        return atol(count);
    *(void **)&real = dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}
