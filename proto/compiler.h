/* What the compiler is told beside the code: results that must be looked at, printf checking, and
 * clang's thread-safety capabilities (-Wthread-safety).  Other compilers read the latter as nothing.
 * And what it tells: whether a sanitizer is built in. */
#ifndef PROTO_COMPILER_H
#define PROTO_COMPILER_H

#define MUST_USE                             __attribute__((warn_unused_result))
#define PRINTF_LIKE(string_at, arguments_at) __attribute__((format(printf, string_at, arguments_at)))
#define NO_RETURN                            __attribute__((noreturn))

#if defined(__clang__)
#define CAPABILITY(name)   __attribute__((capability(name)))
#define ACQUIRES(...)      __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASES(...)      __attribute__((release_capability(__VA_ARGS__)))
#define REQUIRES(...)      __attribute__((requires_capability(__VA_ARGS__)))
#define EXCLUDES(...)      __attribute__((locks_excluded(__VA_ARGS__)))
#define NO_THREAD_ANALYSIS __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(name)
#define ACQUIRES(...)
#define RELEASES(...)
#define REQUIRES(...)
#define EXCLUDES(...)
#define NO_THREAD_ANALYSIS
#endif

/* 1 or 0, for #if and if; gcc and clang say it each in their own way. */
#if defined(__SANITIZE_THREAD__)
#define SANITIZES_THREADS 1
#elif defined(__has_feature)
#define SANITIZES_THREADS __has_feature(thread_sanitizer)
#else
#define SANITIZES_THREADS 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZES_MEMORY 1
#elif defined(__has_feature)
#define SANITIZES_MEMORY __has_feature(address_sanitizer)
#else
#define SANITIZES_MEMORY 0
#endif

#define SANITIZED (SANITIZES_THREADS || SANITIZES_MEMORY)

#endif
