/* Files of this room that are part of the program; the build makes them (scripts/cmake/embed.cmake). */
#ifndef SERVER_HTTP_EMBEDDED_H
#define SERVER_HTTP_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *bytes; /* terminated */
    size_t size;
};

extern const struct embedded embedded_page_html, embedded_page_private_html, embedded_page_public_html;
extern const struct embedded embedded_page_css, embedded_page_js;

#endif
