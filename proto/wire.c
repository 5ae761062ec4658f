/* wire_unpack: a walk over the bytes for what protobuf-c does not check, then protobuf-c into an arena. */
#include "proto/wire.h"

#include "proto/utf8.h"

#include <stdint.h>
#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_SIZED = 2, WIRE_FIXED32 = 5 };

struct reader {
    const uint8_t *at;
    size_t left;
};

static bool read_varint(struct reader *reader, uint64_t *value_out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;

        if (reader->left == 0)
            return false;
        byte = *reader->at++;
        reader->left--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value_out = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct reader *reader, uint64_t size)
{
    if (size > reader->left)
        return false;
    reader->at += size;
    reader->left -= (size_t)size;
    return true;
}

static struct status malformed(const ProtobufCMessageDescriptor *descriptor)
{
    return status_make(STATUS_INVALID_ARGUMENT, "the bytes are no %s", descriptor->name);
}

static struct status check_strings(const ProtobufCMessageDescriptor *descriptor, struct reader reader);

/* One length-delimited field: a string is checked, a submessage walked, anything else left alone. */
static struct status check_sized(const ProtobufCMessageDescriptor *descriptor, const ProtobufCFieldDescriptor *field,
                                 const uint8_t *data, size_t size)
{
    if (field == NULL)
        return status_ok();
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        if (memchr(data, '\0', size) != NULL)
            return status_make(STATUS_INVALID_ARGUMENT, "%s.%s contains a NUL byte", descriptor->short_name,
                               field->name);
        if (!utf8_valid((const char *)data, size))
            return status_make(STATUS_INVALID_ARGUMENT, "%s.%s is not UTF-8", descriptor->short_name, field->name);
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_strings(field->descriptor, (struct reader){data, size});
    return status_ok();
}

static struct status check_strings(const ProtobufCMessageDescriptor *descriptor, struct reader reader)
{
    while (reader.left > 0) {
        uint64_t key, size = 0;
        bool well;

        if (!read_varint(&reader, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX >> 3)
            return malformed(descriptor);
        switch (key & 7) {
        case WIRE_VARINT:
            well = read_varint(&reader, &size);
            break;
        case WIRE_FIXED64:
            well = skip(&reader, 8);
            break;
        case WIRE_FIXED32:
            well = skip(&reader, 4);
            break;
        case WIRE_SIZED:
            well = read_varint(&reader, &size) && size <= reader.left;
            if (well) {
                const ProtobufCFieldDescriptor *field =
                    protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(key >> 3));
                struct status status = check_sized(descriptor, field, reader.at, (size_t)size);

                if (!status_is_ok(&status))
                    return status;
                well = skip(&reader, size);
            }
            break;
        default:
            well = false;
        }
        if (!well)
            return malformed(descriptor);
    }
    return status_ok();
}

/* What protobuf-c asks of an allocator; it asks for many small pieces and gives none back. */
struct arena_allocator {
    struct arena *arena;
    bool short_of_memory;
};

static void *allocate(void *context, size_t size)
{
    struct arena_allocator *allocator = context;
    void *memory = arena_alloc(allocator->arena, size);

    if (memory == NULL)
        allocator->short_of_memory = true;
    return memory;
}

static void release(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

struct status wire_check(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t size)
{
    return check_strings(descriptor, (struct reader){data, size});
}

struct status wire_unpack(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t size,
                          struct arena *arena, ProtobufCMessage **message_out)
{
    struct arena_allocator allocation = {.arena = arena};
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = &allocation};
    struct status status = check_strings(descriptor, (struct reader){data, size});
    ProtobufCMessage *message;

    if (!status_is_ok(&status))
        return status;
    message = protobuf_c_message_unpack(descriptor, &allocator, size, data);
    if (message == NULL) {
        if (allocation.short_of_memory)
            return status_make(STATUS_RESOURCE_EXHAUSTED, "unpacking %s takes more than %zu bytes",
                               descriptor->short_name, arena->total_size_max);
        return malformed(descriptor);
    }
    *message_out = message;
    return status_ok();
}
