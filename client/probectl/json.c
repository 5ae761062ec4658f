/* A walk over a message by its descriptor. */
#include "client/probectl/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- scalars ---- */

/* What view.c shows as a blank, in UTF-8: C1, U+2028 and U+2029, marks that turn the direction of writing.  JSON allows
 * them, terminals obey them or JavaScript chokes on them.  0: none of them. */
static unsigned unfit_character(const unsigned char *bytes)
{
    unsigned c;

    if (bytes[0] == 0xc2 && bytes[1] >= 0x80 && bytes[1] < 0xa0)
        return bytes[1];
    if (bytes[0] == 0xd8 && bytes[1] == 0x9c)
        return 0x061c;
    if (bytes[0] == 0xef && bytes[1] == 0xbb && bytes[2] == 0xbf)
        return 0xfeff;
    if (bytes[0] != 0xe2 || (bytes[1] & 0xc0) != 0x80 || (bytes[2] & 0xc0) != 0x80)
        return 0;
    c = 0x2000u | (bytes[1] & 0x3fu) << 6 | (bytes[2] & 0x3fu);
    return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ? c : 0;
}

void json_print_string(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    fputc('"', out);
    while (*at != '\0') {
        unsigned unfit = unfit_character(at);

        if (unfit != 0) {
            fprintf(out, "\\u%04x", unfit);
            at += unfit < 0x800 ? 2 : 3;
        } else {
            if (*at == '"' || *at == '\\')
                fprintf(out, "\\%c", *at);
            else if (*at == '\n')
                fputs("\\n", out);
            else if (*at < 0x20 || *at == 0x7f)
                fprintf(out, "\\u%04x", *at);
            else
                fputc(*at, out);
            at++;
        }
    }
    fputc('"', out);
}

static void print_bytes(FILE *out, const ProtobufCBinaryData *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    fputc('"', out);
    for (size_t i = 0; i < bytes->len; i += 3) {
        size_t left = bytes->len - i;
        unsigned group = (unsigned)bytes->data[i] << 16 | (left > 1 ? (unsigned)bytes->data[i + 1] << 8 : 0) |
                         (left > 2 ? bytes->data[i + 2] : 0);

        fputc(digits[group >> 18], out);
        fputc(digits[group >> 12 & 63], out);
        fputc(left > 1 ? digits[group >> 6 & 63] : '=', out);
        fputc(left > 2 ? digits[group & 63] : '=', out);
    }
    fputc('"', out);
}

/* The shortest decimal that reads back as the same number: `least` digits, or as many more as that takes. */
static void print_number(FILE *out, double value, int least, bool is_float)
{
    char text[32];

    if (isnan(value)) {
        fputs("\"NaN\"", out);
        return;
    }
    if (isinf(value)) {
        fputs(value > 0 ? "\"Infinity\"" : "\"-Infinity\"", out);
        return;
    }
    for (int digits = least;; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (is_float ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value)
            break;
    }
    fputs(text, out);
}

static void print_enum(FILE *out, const ProtobufCEnumDescriptor *descriptor, int value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(descriptor, value);

    if (known != NULL)
        fprintf(out, "\"%s\"", known->name);
    else
        fprintf(out, "%d", value);
}

/* One value of the field, at `member`. */
static void print_value(FILE *out, const ProtobufCFieldDescriptor *field, const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        fprintf(out, "%" PRId32, *(const int32_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        fprintf(out, "%" PRIu32, *(const uint32_t *)member);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        fprintf(out, "\"%" PRId64 "\"", *(const int64_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        fprintf(out, "\"%" PRIu64 "\"", *(const uint64_t *)member);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        print_number(out, (double)*(const float *)member, 6, true);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        print_number(out, *(const double *)member, 15, false);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        fputs(*(const protobuf_c_boolean *)member ? "true" : "false", out);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        print_enum(out, field->descriptor, *(const int *)member);
        break;
    case PROTOBUF_C_TYPE_STRING:
        json_print_string(out, *(char *const *)member);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        print_bytes(out, member);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        json_print(out, *(ProtobufCMessage *const *)member);
        break;
    }
}

/* ---- fields ---- */

static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(ProtobufCMessage *);
    }
    return 0;
}

/* Whether a member that has no presence of its own has its default value: zero in every byte, or empty. */
static bool is_default(const ProtobufCFieldDescriptor *field, const void *member)
{
    static const unsigned char zeros[8];

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return *(char *const *)member == NULL || **(char *const *)member == '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)member)->len == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)member == NULL;
    default:
        return memcmp(member, zeros, size_of(field->type)) == 0;
    }
}

static bool is_present(const ProtobufCFieldDescriptor *field, const char *message)
{
    const void *quantifier = message + field->quantifier_offset;

    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)quantifier > 0;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(const uint32_t *)quantifier == field->id;
    return !is_default(field, message + field->offset);
}

static void print_repeated(FILE *out, const ProtobufCFieldDescriptor *field, const char *message)
{
    size_t count = *(const size_t *)(const void *)(message + field->quantifier_offset);
    const char *members = *(char *const *)(const void *)(message + field->offset);

    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputc(',', out);
        print_value(out, field, members + i * size_of(field->type));
    }
    fputc(']', out);
}

void json_print(FILE *out, const ProtobufCMessage *message)
{
    const char *separator = "";

    fputc('{', out);
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

        if (!is_present(field, (const char *)message))
            continue;
        fprintf(out, "%s\"%s\":", separator, field->name);
        separator = ",";
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            print_repeated(out, field, (const char *)message);
        else
            print_value(out, field, (const char *)message + field->offset);
    }
    fputc('}', out);
}
