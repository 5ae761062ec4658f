// ProbeService/Probe over gRPC C++, answered at once with the account that bench-server answers with.
//
//     bench-grpc-server callback|async ADDRESS THREADS      ADDRESS: unix:/path or host:port
//
// callback: gRPC's own threads run the reactor.  async: THREADS completion queues with a thread each, 256 calls waiting
// on each.  It serves until SIGTERM.
#include "probed/v1/probe.grpc.pb.h"

#include <grpcpp/grpcpp.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

namespace {

using probed::v1::ProbeRequest;
using probed::v1::ProbeResponse;
using probed::v1::ProbeService;

constexpr int kWaitingPerQueue = 256;

void Fill(const ProbeRequest &request, ProbeResponse *response)
{
    auto *usage = response->mutable_usage();

    for (int i = 0; i < 2; i++) {
        auto *window = usage->add_windows();
        window->set_label(i == 0 ? "Session" : "Weekly");
        window->set_used_percent(12.5);
        window->set_remaining_percent(87.5);
        window->set_reset_at_ms(INT64_C(1790000000000));
        window->set_window_seconds(18000);
    }
    usage->set_provider(request.provider());
    usage->set_status(probed::v1::ACCOUNT_STATUS_OK);
    usage->set_source("usage_api");
    usage->set_title("Account limits");
    usage->set_plan("Plus");
    usage->set_fetched_at_ms(INT64_C(1790000000000));
    usage->add_details("probeload pid=12345 number=42 started=12345678901234 answered=12345678901234 "
                       "key=0123456789abcdef sign=0123456789abcdef");
    usage->set_available(true);
    usage->set_http_status(200);
    response->mutable_fence()->set_epoch(1);
    response->mutable_fence()->set_generation(1);
    response->mutable_receipt()->set_lease_id(1);
    response->mutable_receipt()->set_worker_id(1);
    response->set_origin(probed::v1::ORIGIN_CACHED);
}

class CallbackService final : public ProbeService::CallbackService {
    grpc::ServerUnaryReactor *Probe(grpc::CallbackServerContext *context, const ProbeRequest *request,
                                    ProbeResponse *response) override
    {
        auto *reactor = context->DefaultReactor();

        Fill(*request, response);
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }
};

// One call: waits to be asked, answers, and is replaced by the next.
class Call {
public:
    Call(ProbeService::AsyncService *service, grpc::ServerCompletionQueue *queue)
        : service_(service), queue_(queue), responder_(&context_)
    {
        service_->RequestProbe(&context_, &request_, &responder_, queue_, queue_, this);
    }

    void Proceed()
    {
        if (answered_) {
            delete this;
            return;
        }
        new Call(service_, queue_);
        answered_ = true;
        Fill(request_, &response_);
        responder_.Finish(response_, grpc::Status::OK, this);
    }

private:
    ProbeService::AsyncService *service_;
    grpc::ServerCompletionQueue *queue_;
    grpc::ServerContext context_;
    ProbeRequest request_;
    ProbeResponse response_;
    grpc::ServerAsyncResponseWriter<ProbeResponse> responder_;
    bool answered_ = false;
};

void Serve(ProbeService::AsyncService *service, grpc::ServerCompletionQueue *queue)
{
    void *tag;
    bool ok;

    for (int i = 0; i < kWaitingPerQueue; i++)
        new Call(service, queue);
    while (queue->Next(&tag, &ok)) {
        if (ok)
            static_cast<Call *>(tag)->Proceed();
        else
            delete static_cast<Call *>(tag);
    }
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 4 || (std::strcmp(argv[1], "callback") != 0 && std::strcmp(argv[1], "async") != 0)) {
        std::cerr << "usage: bench-grpc-server callback|async ADDRESS THREADS\n";
        return 2;
    }
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr); // every thread inherits it

    bool async = std::strcmp(argv[1], "async") == 0;
    CallbackService callback_service;
    ProbeService::AsyncService async_service;
    std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
    std::vector<std::thread> threads;
    grpc::ServerBuilder builder;

    builder.AddListeningPort(argv[2], grpc::InsecureServerCredentials());
    if (async) {
        builder.RegisterService(&async_service);
        for (int i = 0; i < std::atoi(argv[3]); i++)
            queues.push_back(builder.AddCompletionQueue());
    } else {
        builder.RegisterService(&callback_service);
    }
    auto server = builder.BuildAndStart();
    if (server == nullptr) {
        std::cerr << "bench-grpc-server: cannot listen at " << argv[2] << "\n";
        return 1;
    }
    for (auto &queue : queues)
        threads.emplace_back(Serve, &async_service, queue.get());
    int signal_number;
    sigwait(&ends, &signal_number);
    std::_Exit(0); // what it held is the system's: ending in order shows nothing
}
