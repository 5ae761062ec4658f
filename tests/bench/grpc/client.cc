// The gRPC side's client: completion queues, a thread each, the calls in flight shared among them on one channel.
//
//     bench-grpc-client ADDRESS IN-FLIGHT THREADS SECONDS WARM-UP HOME
//
// It prints what bench-client prints.
extern "C" {
#include "client/probeload/histogram.h"
}
#include "probed/v1/probe.grpc.pb.h"

#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace {

using probed::v1::ProbeRequest;
using probed::v1::ProbeResponse;
using probed::v1::ProbeService;
using Clock = std::chrono::steady_clock;

constexpr auto kTimeout = std::chrono::seconds(30);

double CpuSeconds()
{
    rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct Plan {
    const char *home;
    Clock::time_point measure_from, end;
};

struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    ProbeResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<ProbeResponse>> reader;
    Clock::time_point begun;
};

// One thread's share.
class Loop {
public:
    Loop(ProbeService::Stub *stub, const Plan &plan, int in_flight)
        : stub_(stub), plan_(plan), calls_(static_cast<size_t>(in_flight))
    {
    }

    void Run()
    {
        void *tag;
        bool ok;
        size_t active = calls_.size();

        for (auto &call : calls_)
            Begin(&call);
        while (active > 0 && queue_.Next(&tag, &ok)) {
            auto *call = static_cast<Call *>(tag);

            Note(*call, ok);
            if (Clock::now() < plan_.end)
                Begin(call);
            else
                active--;
        }
    }

    histogram latency = {};
    uint64_t failed = 0;
    Clock::time_point last;

private:
    void Begin(Call *call)
    {
        ProbeRequest request;

        request.set_home(plan_.home);
        request.set_provider("openrouter");
        call->context = std::make_unique<grpc::ClientContext>();
        call->context->set_deadline(std::chrono::system_clock::now() + kTimeout);
        call->response.Clear();
        call->begun = Clock::now();
        call->reader = stub_->PrepareAsyncProbe(call->context.get(), request, &queue_);
        call->reader->StartCall();
        call->reader->Finish(&call->response, &call->status, call);
    }

    void Note(const Call &call, bool ok)
    {
        if (call.begun < plan_.measure_from)
            return;
        last = Clock::now();
        histogram_add(&latency, static_cast<uint64_t>(
                                    std::chrono::duration_cast<std::chrono::nanoseconds>(last - call.begun).count()));
        failed += !ok || !call.status.ok() || !call.response.has_usage();
    }

    ProbeService::Stub *stub_;
    const Plan &plan_;
    std::vector<Call> calls_;
    grpc::CompletionQueue queue_;
};

double Us(uint64_t ns)
{
    return static_cast<double>(ns) / 1e3;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 7) {
        std::fprintf(stderr, "usage: bench-grpc-client ADDRESS IN-FLIGHT THREADS SECONDS WARM-UP HOME\n");
        return 2;
    }
    int in_flight = std::atoi(argv[2]), thread_count = std::max(1, std::min(std::atoi(argv[3]), in_flight));
    auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + kTimeout)) {
        std::fprintf(stderr, "bench-grpc-client: cannot reach %s\n", argv[1]);
        return 1;
    }
    auto stub = ProbeService::NewStub(channel);
    auto seconds = [](const char *text) {
        return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::atof(text)));
    };
    Plan plan{argv[6], Clock::now() + seconds(argv[5]), {}};
    plan.end = plan.measure_from + seconds(argv[4]);
    std::vector<std::unique_ptr<Loop>> loops;
    std::vector<std::thread> threads;
    double cpu_s = CpuSeconds();

    for (int i = 0; i < thread_count; i++)
        loops.push_back(std::make_unique<Loop>(stub.get(), plan,
                                               in_flight / thread_count + (i < in_flight % thread_count)));
    for (auto &loop : loops)
        threads.emplace_back([&loop] { loop->Run(); });
    for (auto &thread : threads)
        thread.join();
    cpu_s = CpuSeconds() - cpu_s;

    static histogram sum;
    uint64_t failed = 0;
    Clock::time_point last = plan.measure_from;
    for (auto &loop : loops) {
        histogram_merge(&sum, &loop->latency);
        failed += loop->failed;
        last = std::max(last, loop->last);
    }
    double elapsed_s = std::chrono::duration<double>(last - plan.measure_from).count();
    std::printf("{\"calls\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"seconds\":%.6f,\"rate\":%.1f,\"client_cpu_s\":%.4f,"
                "\"count\":%" PRIu64 ",\"mean\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,"
                "\"max\":%.3f}\n",
                sum.count, failed, elapsed_s, static_cast<double>(sum.count) / elapsed_s, cpu_s, sum.count,
                histogram_mean(&sum) / 1e3, Us(histogram_value_at(&sum, 0.5)), Us(histogram_value_at(&sum, 0.9)),
                Us(histogram_value_at(&sum, 0.99)), Us(histogram_value_at(&sum, 0.999)), Us(sum.max));
    return failed == 0 ? 0 : 1;
}
