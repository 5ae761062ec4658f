/* probeload: loads a daemon, measures it, and checks what it answers.  options.c understands the command line, load.c
 * is the engine, ledger.c has the checks, report.c and chart.c tell. */
#include "client/probeload/chart.h"
#include "client/probeload/options.h"
#include "client/probeload/report.h"
#include "proto/nng_shim.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum load_exit {
    LOAD_OK = 0,
    LOAD_USAGE = 2,
    LOAD_VIOLATION = 3,
    LOAD_UNREACHABLE = 69,
    LOAD_FAILED = 70 /* a call failed, or output could not be written */
};

static void handle_signal(int signal_number)
{
    (void)signal_number;
    load_stop();
}

/* The first stops the run, the second the program. */
static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = handle_signal, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void complain(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, why[0] != '\0' ? ": " : "", why);
}

/* ---- what is shown ---- */

static void draw_progress(void *context, const struct load_progress *progress)
{
    (void)context;
    report_draw_progress(stderr, progress);
}

static bool write_file(const char *path, void (*write)(FILE *out, const struct report *report, const char *title),
                       const struct report *report, const char *title)
{
    FILE *file = fopen(path, "we");
    bool written = false;

    if (file != NULL) {
        write(file, report, title);
        written = ferror(file) == 0;
        written = fclose(file) == 0 && written;
    }
    if (!written)
        complain(path, strerror(errno));
    return written;
}

static void write_hgrm(FILE *out, const struct report *report, const char *title)
{
    (void)title;
    report_print_hgrm(out, &report->result->sum->probes);
}

/* false: something could not be written. */
static bool show(const struct options *options, const struct report *report)
{
    bool shown = true;

    if (options->json)
        report_print_json(stdout, report);
    else
        report_print(stdout, report);
    if (fflush(stdout) != 0 || ferror(stdout))
        shown = false;
    if (options->hgrm_path != NULL)
        shown = write_file(options->hgrm_path, write_hgrm, report, NULL) && shown;
    if (options->svg_path != NULL)
        shown = write_file(options->svg_path, chart_draw, report, options->title) && shown;
    return shown;
}

static enum load_exit conclude(const struct options *options, const struct report *report)
{
    const struct load_result *result = report->result;
    bool shown = show(options, report);

    if (result->evidence[0] != '\0')
        complain("a broken promise", result->evidence);
    if (result->failure.code != PROBED_OK)
        fprintf(stderr, "%s: the first failure: %s (%s)\n", program_invocation_short_name, result->failure.message,
                probed_code_name(result->failure.code));
    if (result->evidence[0] != '\0')
        return LOAD_VIOLATION;
    if (result->unreachable)
        return LOAD_UNREACHABLE;
    return result->failure.code != PROBED_OK || !shown ? LOAD_FAILED : LOAD_OK;
}

/* ---- running ---- */

static enum load_exit run(const struct options *options, struct load_plan plan)
{
    static struct limit_report limit;
    bool progresses = !options->quiet && isatty(STDERR_FILENO) == 1;
    struct load_watcher watcher = {.tick = progresses ? draw_progress : NULL};
    struct load_result result;
    struct report report = {.plan = &plan, .result = &result, .limit = options->limit_p99_ns != 0 ? &limit : NULL};
    struct probed_status status;
    enum load_exit exit_status;

    limit.p99_ns_max = options->limit_p99_ns;
    status =
        options->limit_p99_ns != 0 ? limit_find(&plan, &watcher, &limit, &result) : load_run(&plan, &watcher, &result);
    if (progresses)
        report_clear_progress(stderr);
    if (status.code != PROBED_OK) {
        complain(status.message, "");
        return status.unreachable ? LOAD_UNREACHABLE : LOAD_FAILED;
    }
    if (options->limit_p99_ns != 0)
        plan.rate = limit.result_rate; /* for the report: what the result is of */
    exit_status = conclude(options, &report);
    load_result_fini(&result);
    return exit_status;
}

static enum load_exit run_self_contained(const struct options *options)
{
    struct load_plan plan = options->plan;
    struct selfhost host;
    struct probed_status status = selfhost_start(&host, &options->host);
    enum load_exit exit_status;

    if (status.code != PROBED_OK) {
        complain(status.message, "");
        return LOAD_UNREACHABLE;
    }
    plan.url = host.url;
    plan.events_url = host.events_url;
    plan.secret = host.secret;
    plan.homes = (const char *const *)host.homes;
    exit_status = run(options, plan);
    selfhost_stop(&host);
    return exit_status;
}

int main(int argc, char **argv)
{
    static struct options options;

    options_parse(&options, argc, argv, LOAD_USAGE);
    if (!nng_shim_active()) {
        complain("libnng does not reach its cure; it was not linked as it should be", "");
        return LOAD_FAILED;
    }
    handle_signals();
    return (int)(options.self_contained ? run_self_contained(&options) : run(&options, options.plan));
}
