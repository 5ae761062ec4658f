/* probe-worker, the built-in worker: one request line in, one answer line out, until end of file; or one question on
 * the command line, answered for a person.
 *
 * It holds one home's credentials and is trusted with nothing else: no core file, nothing written, nothing said of a
 * secret on any descriptor.  Its answers are for whoever reads standard output; when nobody does, it ends. */
#include "server/base/clock.h"
#include "server/base/text.h"
#include "server/worker/files.h"
#include "server/worker/http.h"
#include "server/worker/lines.h"
#include "server/worker/memory.h"
#include "server/worker/options.h"
#include "server/worker/probe.h"
#include "server/worker/provider.h"
#include "server/worker/request.h"
#include "server/worker/snapshot.h"
#include "server/worker/view.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* False: nobody reads it. */
static bool answer_send(const struct text *line)
{
    size_t sent = 0;

    while (sent < line->size) {
        ssize_t size = write(STDOUT_FILENO, line->bytes + sent, line->size - sent);

        if (size < 0 && errno != EINTR)
            return false;
        sent += size > 0 ? (size_t)size : 0;
    }
    return true;
}

static void complain(const char *what)
{
    fprintf(stderr, "probe-worker: %s\n", what);
}

/* Probes and composes the line; false: it was abandoned. */
static bool answer_compose(const struct prober *prober, const struct probe_request *request, struct text *line)
{
    struct snapshot *snapshot = NULL;

    switch (probe_run(prober, request, &snapshot)) {
    case PROBE_ABANDONED:
        return false;
    case PROBE_NO_MEMORY:
        break;
    case PROBE_DONE:
        if (snapshot_write(snapshot, request->id, line)) {
            snapshot_destroy(snapshot);
            return true;
        }
        snapshot_destroy(snapshot);
        break;
    }
    complain("out of memory");
    text_reset(line);
    text_add_string(line, "null"); /* no answer: proto/README.md 5 */
    return true;
}

static bool line_is_blank(const struct line *line)
{
    for (size_t i = 0; i < line->size; i++) {
        if (strchr(" \t\r", line->text[i]) == NULL)
            return false;
    }
    return true;
}

static bool answer_none_because(const char *why)
{
    static char line[] = "null\n";

    complain(why);
    return answer_send(&(struct text){.bytes = line, .size = sizeof line - 1});
}

/* Reads the request, forgets its line, answers; false: nobody is there to hear it. */
static bool answer_line(const struct prober *prober, struct lines *lines, const struct line *given)
{
    struct probe_request request;
    struct text line = TEXT_EMPTY;
    bool heard;

    if (line_is_blank(given))
        return true;
    if (!probe_request_parse(&request, given->text, given->size, clock_now_ns()))
        return answer_none_because("a request line that is no JSON object with a provider");
    lines_forget(lines);
    heard = answer_compose(prober, &request, &line);
    probe_request_fini(&request);
    text_add_string(&line, "\n");
    heard = heard && !line.failed && answer_send(&line);
    text_fini(&line);
    return heard;
}

static void serve(const struct prober *prober)
{
    struct lines lines;
    bool heard = true;

    lines_init(&lines, STDIN_FILENO);
    while (heard) {
        struct line line;
        enum lines_next next = lines_next(&lines, &line);

        if (next == LINES_END)
            break;
        heard =
            next == LINES_LINE ? answer_line(prober, &lines, &line) : answer_none_because("a request line above 2 MiB");
    }
    lines_fini(&lines);
}

static bool has_foreign_sign_in(const char *id)
{
    const struct provider *provider = provider_find(provider_id(id));
    bool foreign = false;

    for (size_t i = 0; provider != NULL && i < PROVIDER_SIGN_IN_COUNT_MAX && provider->sign_ins[i].token != NULL; i++)
        foreign = foreign || provider->sign_ins[i].foreign;
    return foreign;
}

/* Other tools' sign-ins might have been the answer. */
static void hint(const struct options *options, const struct snapshot *snapshot)
{
    if (!options->foreign && has_foreign_sign_in(options->provider) &&
        (snapshot->outcome.status == ACCOUNT_NO_KEY || snapshot->outcome.status == ACCOUNT_EXPIRED))
        complain("other tools' sign-ins were not read; --foreign-credentials yes does that");
}

/* Asks once, and prints the answer for a person, or as a line; the exit status. */
static int ask(const struct prober *prober, const struct options *options)
{
    struct probe_request request = {.api_key = TEXT_EMPTY,
                                    .deadline_ns = clock_now_ns() + REQUEST_TIMEOUT_MS_DEFAULT * NS_PER_MS};
    struct snapshot *snapshot = NULL;
    struct text text = TEXT_EMPTY;
    bool shown = false, told = false;

    snprintf(request.provider, sizeof request.provider, "%s", options->provider);
    if (probe_run(prober, &request, &snapshot) == PROBE_DONE) {
        if (options->json) {
            told = snapshot_write(snapshot, NULL, &text);
            text_add_string(&text, "\n");
        } else {
            view_snapshot(snapshot, &text);
            told = true;
        }
        shown = snapshot->outcome.reason[0] == '\0';
        told = told && !text.failed && answer_send(&text);
        hint(options, snapshot);
    }
    if (!told)
        complain("the answer could not be printed");
    snapshot_destroy(snapshot);
    text_fini(&text);
    return shown && told ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int list(void)
{
    struct text text = TEXT_EMPTY;
    bool told;

    view_providers(&text);
    told = !text.failed && answer_send(&text);
    text_fini(&text);
    return told ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Whoever starts us with a descriptor closed must not find a provider's connection in its place. */
static void complete_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int run(const struct options *options)
{
    int status = EXIT_SUCCESS;
    struct files files = {.home_fd = files_open_directory(options->home), .user_home_fd = -1};
    struct prober prober = {.files = &files, .fixed_now = options->now};

    if (files.home_fd < 0) {
        fprintf(stderr, "probe-worker: %s: %s\n", options->home, strerror(errno));
        return EXIT_FAILURE;
    }
    if (options->foreign && options->user_home != NULL)
        files.user_home_fd = files_open_directory(options->user_home); /* none there: no sign-ins */
    prober.http = http_create(&(struct http_settings){.connect_to = options->connect_to,
                                                      .ca_file = options->ca_file,
                                                      .user_agent = options->user_agent,
                                                      .reader_fd = STDOUT_FILENO});
    if (prober.http == NULL) {
        complain("libcurl does not start");
        return EXIT_FAILURE;
    }
    if (options->task == TASK_ASK)
        status = ask(&prober, options);
    else
        serve(&prober);
    http_destroy(prober.http);
    close(files.home_fd);
    if (files.user_home_fd >= 0)
        close(files.user_home_fd);
    return status;
}

int main(int argc, char **argv)
{
    struct options options;
    int status;

    prctl(PR_SET_DUMPABLE, 0); /* no core file, no tracer */
    signal(SIGPIPE, SIG_IGN);  /* a reader that leaves is noticed by write */
    complete_descriptors();
    memory_setup();
    options_parse(&options, argc, argv);
    status = options.task == TASK_LIST ? list() : run(&options);
    options_fini(&options);
    return status;
}
