/* proto3's JSON mapping of any message, with the field names of the .proto, on one line.
 *
 * As the mapping has it: 64-bit integers are strings, enums their names (a number where there is none), bytes base64;
 * what has its default value is left out, but for a member of a oneof that is set.  Beyond it, characters that a
 * terminal would obey are escaped.
 *
 * Threads: any, a stream each. */
#ifndef CLIENT_PROBECTL_JSON_H
#define CLIENT_PROBECTL_JSON_H

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

/* Without a line end. */
void json_print(FILE *out, const ProtobufCMessage *message);

/* A JSON string, quotes included. */
void json_print_string(FILE *out, const char *text);

#endif
