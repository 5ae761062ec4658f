/* A peer that speaks nng's wire by hand: what no library would send, and a client that needs none.
 *
 * The wire is SP over a unix socket: a greeting of 8 bytes each way, then frames of one byte 1, eight bytes of size and
 * the message; a request begins with four bytes of id whose highest bit is set, which the reply repeats.
 *
 * Nothing here asserts but raw_pack: it is used by forked children as well, which tell by their exit status. */
#ifndef TESTS_SUPPORT_RAW_H
#define TESTS_SUPPORT_RAW_H

#include "gen/probed/v1/rpc.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum raw_protocol { RAW_REQ = 0x30, RAW_SUB = 0x21 };

enum { RAW_GREETING_SIZE = 8 };

/* A connection to an ipc:// URL; -1 with errno. */
int raw_connect(const char *url);

void raw_greeting(enum raw_protocol protocol, unsigned char greeting[RAW_GREETING_SIZE]);

/* Greets and reads the greeting; false when the other end has closed. */
bool raw_greet(int fd, enum raw_protocol protocol);

/* A frame with a request. */
bool raw_send(int fd, uint32_t id, const void *message, size_t size);

/* The beginning of one: what is missing never comes. */
bool raw_send_part(int fd, uint32_t id, const void *message, size_t size, size_t part_size);

/* The next reply, NULL when the other end has closed; free it with free_unpacked. */
Probed__V1__RpcResponse *raw_receive(int fd);

/* An RpcRequest as it goes into a frame; free() it. */
unsigned char *raw_pack(const char *method, uint32_t timeout_ms, const ProtobufCMessage *request, size_t *size_out);

/* One call on a connection of its own: its code, or -1 when there was no reply. */
int raw_call(const char *url, const void *message, size_t size);

#endif
