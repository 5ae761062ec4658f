/* protoc-c's client functions over a channel. */
#include "client/channel.h"

#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

/* "/probed.v1.ProbeService/Probe"; names are the .proto's, and short. */
static void write_method(char out[LIMIT_METHOD_SIZE_MAX + 1], const ProtobufCServiceDescriptor *service,
                         const ProtobufCMethodDescriptor *method)
{
    snprintf(out, LIMIT_METHOD_SIZE_MAX + 1, "/%s/%s", service->name, method->name);
}

/* What the generated functions call. */
static void invoke(ProtobufCService *base, unsigned method_index, const ProtobufCMessage *input,
                   ProtobufCClosure closure, void *closure_data)
{
    struct probed_stub *stub = (struct probed_stub *)base;
    const ProtobufCMethodDescriptor *method = &base->descriptor->methods[method_index];
    char name[LIMIT_METHOD_SIZE_MAX + 1];
    struct request request = {.method = name, .message = input};
    ProtobufCMessage *response = NULL;
    struct reply reply;

    write_method(name, base->descriptor, method);
    stub->response = NULL;
    stub->status = channel_call(stub->channel, &request, stub->options, &reply);
    if (outcome_is_ok(&stub->status)) {
        stub->status = reply_unpack(method->output, reply.payload, reply.payload_size, &response);
        reply_fini(&reply);
    }
    if (closure == NULL) {
        stub->response = response;
        return;
    }
    closure(response, closure_data);
    if (response != NULL)
        protobuf_c_message_free_unpacked(response, NULL);
}

void probed_stub_init(struct probed_stub *stub, struct probed_channel *channel,
                      const ProtobufCServiceDescriptor *descriptor, const struct probed_call_options *options)
{
    memset(stub, 0, sizeof *stub);
    stub->base.descriptor = descriptor;
    stub->base.invoke = invoke;
    stub->channel = channel;
    stub->options = options;
}
