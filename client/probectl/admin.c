/* probectl status, homes, workers: who holds what, who waits, and why. */
#include "client/probectl/command.h"
#include "client/probectl/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* "-" where there is nothing, so that a column is never empty. */
static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static void duration_or_dash(uint64_t ms, char out[VIEW_WORDS_SIZE])
{
    if (ms == 0)
        strcpy(out, "-");
    else
        view_duration(ms, out);
}

static enum command_exit print_table(const struct table *table, const struct view *view)
{
    if (!table_print(table, view))
        fprintf(stderr, "%s: no memory for the whole table\n", program_invocation_short_name);
    return command_flush();
}

/* ---- status ---- */

static void print_status(const struct view *view, const Probed__V1__GetStatusResponse *response)
{
    static const Probed__V1__WorkerCounts none = PROBED__V1__WORKER_COUNTS__INIT;
    const Probed__V1__WorkerCounts *workers = response->workers != NULL ? response->workers : &none;
    char uptime[VIEW_WORDS_SIZE];

    view_duration(response->uptime_ms, uptime);
    view_format(view, VIEW_BOLD, "probed %s", response->version);
    view_line(view, VIEW_PLAIN, ", up %s, epoch %016" PRIx64, uptime, response->epoch);
    if (response->draining)
        view_line(view, VIEW_WARN, "  draining: it takes no more calls");
    view_line(view, VIEW_PLAIN, "  homes    %u known, %u cached answers, %u probes in the air, %u calls waiting",
              response->homes, response->cache_entries, response->flights, response->waiting);
    view_line(view, VIEW_PLAIN, "  workers  %u starting, %u idle, %u leased, %u draining, %u ending", workers->starting,
              workers->idle, workers->leased, workers->draining, workers->ending);
    view_line(view, VIEW_PLAIN, "  sandbox  %s", or_dash(response->sandbox));
    for (size_t i = 0; i < response->n_counters; i++)
        view_line(view, VIEW_PLAIN, "  %s %" PRIu64, response->counters[i]->name, response->counters[i]->value);
}

static enum command_exit show_status(const struct command_options *options, struct probed_channel *channel)
{
    Probed__V1__GetStatusRequest request = PROBED__V1__GET_STATUS_REQUEST__INIT;
    Probed__V1__GetStatusResponse *response;
    struct probed_status status = probed_get_status(channel, &request, NULL, &response);
    enum command_exit result;
    struct view view;

    if (status.code != PROBED_OK)
        return command_fail(&status, "status");
    if (options->json) {
        result = command_print_json(&response->base);
    } else {
        view_init(&view, stdout);
        print_status(&view, response);
        result = command_flush();
    }
    probed__v1__get_status_response__free_unpacked(response, NULL);
    return result;
}

enum command_exit command_status(int argc, char **argv, struct command_options *options)
{
    struct probed_channel *channel;
    enum command_exit result;

    command_parse_none(argc, argv, options, "Tells how the daemon does: what it holds, and its counters.");
    result = command_open(options, &channel);
    if (result != COMMAND_OK)
        return result;
    result = show_status(options, channel);
    probed_channel_close(channel);
    return result;
}

/* ---- homes ---- */

/* All pages, as one list. */
struct home_pages {
    Probed__V1__ListHomesResponse **pages; /* owned, and what they point to */
    size_t page_count;
    Probed__V1__ListHomesResponse all; /* lends from the pages, but for the array */
};

static bool add_page(struct home_pages *pages, Probed__V1__ListHomesResponse *page)
{
    size_t count = pages->all.n_homes + page->n_homes;
    void *grown_pages = realloc(pages->pages, (pages->page_count + 1) * sizeof(Probed__V1__ListHomesResponse *));
    void *grown_homes;

    if (grown_pages == NULL)
        return false;
    pages->pages = grown_pages;
    grown_homes = realloc(pages->all.homes, (count + 1) * sizeof(Probed__V1__HomeInfo *));
    if (grown_homes == NULL)
        return false;
    pages->all.homes = grown_homes;
    for (size_t i = 0; i < page->n_homes; i++)
        pages->all.homes[pages->all.n_homes++] = page->homes[i];
    pages->pages[pages->page_count++] = page;
    return true;
}

static struct probed_status read_homes(struct probed_channel *channel, struct home_pages *pages)
{
    Probed__V1__ListHomesRequest request = PROBED__V1__LIST_HOMES_REQUEST__INIT;
    Probed__V1__ListHomesResponse *page;
    struct probed_status status;
    bool more = true;

    probed__v1__list_homes_response__init(&pages->all);
    request.limit = 1000;
    do {
        status = probed_list_homes(channel, &request, NULL, &page);
        if (status.code != PROBED_OK)
            break;
        more = page->more && page->n_homes > 0;
        if (!add_page(pages, page)) {
            probed__v1__list_homes_response__free_unpacked(page, NULL);
            status = (struct probed_status){.code = PROBED_RESOURCE_EXHAUSTED, .message = "no memory for the list"};
            break;
        }
        if (page->n_homes > 0)
            request.after = page->homes[page->n_homes - 1]->home;
    } while (more);
    return status;
}

static void free_homes(struct home_pages *pages)
{
    for (size_t i = 0; i < pages->page_count; i++)
        probed__v1__list_homes_response__free_unpacked(pages->pages[i], NULL);
    free(pages->pages);
    free(pages->all.homes);
}

static enum command_exit print_homes(const Probed__V1__ListHomesResponse *response)
{
    static const char *const heads[] = {"HOME",     ">GENERATION", ">IDLE",   ">LEASED", ">OTHER",
                                        ">WAITING", ">LONGEST",    ">CACHED", ">PAUSE",  "LAST FAILURE"};
    struct table table;
    struct view view;
    enum command_exit result;

    view_init(&view, stdout);
    table_init(&table, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < response->n_homes; i++) {
        static const Probed__V1__WorkerCounts none = PROBED__V1__WORKER_COUNTS__INIT;
        const Probed__V1__HomeInfo *home = response->homes[i];
        const Probed__V1__WorkerCounts *workers = home->workers != NULL ? home->workers : &none;
        char longest[VIEW_WORDS_SIZE], pause[VIEW_WORDS_SIZE];

        duration_or_dash(home->oldest_wait_ms, longest);
        duration_or_dash(home->pause_ms, pause);
        table_add(&table, "%s", home->home);
        table_add(&table, "%" PRIu64, home->generation);
        table_add(&table, "%u", workers->idle);
        table_add(&table, "%u", workers->leased);
        table_add(&table, "%u", workers->starting + workers->draining + workers->ending);
        table_add(&table, "%u", home->waiting);
        table_add(&table, "%s", longest);
        table_add(&table, "%u", home->cache_entries);
        table_add(&table, "%s", pause);
        table_add(&table, "%s", home->last_failure);
    }
    result = print_table(&table, &view);
    table_fini(&table);
    return result;
}

enum command_exit command_homes(int argc, char **argv, struct command_options *options)
{
    struct home_pages pages = {.pages = NULL};
    struct probed_channel *channel;
    struct probed_status status;
    enum command_exit result;

    command_parse_none(argc, argv, options, "Lists the homes that the daemon knows: their workers, and who waits.");
    result = command_open(options, &channel);
    if (result != COMMAND_OK)
        return result;
    status = read_homes(channel, &pages);
    if (status.code != PROBED_OK)
        result = command_fail(&status, "homes");
    else
        result = options->json ? command_print_json(&pages.all.base) : print_homes(&pages.all);
    free_homes(&pages);
    probed_channel_close(channel);
    return result;
}

/* ---- workers ---- */

struct workers_options {
    struct command_options *common;
    const char *home;
};

enum { KEY_HOME = 0x200 };

static const struct argp_option workers_table[] = {
    {"home", KEY_HOME, "DIR", 0, "of one home only", 1},
    {0},
};

static error_t parse_workers(int key, char *argument, struct argp_state *state)
{
    struct workers_options *options = state->input;

    switch (key) {
    case KEY_HOME:
        options->home = argument;
        break;
    default:
        return command_parse_common(key, state, options->common, ": which home is said with --home");
    }
    return 0;
}

static const struct argp workers_argp = {
    .options = workers_table,
    .parser = parse_workers,
    .doc = "Lists the worker processes: what each is doing, and for how long.",
    .children = command_children,
};

static const char *worker_state_words(Probed__V1__WorkerState state)
{
    switch (state) {
    case PROBED__V1__WORKER_STATE__WORKER_STATE_STARTING:
        return "starting";
    case PROBED__V1__WORKER_STATE__WORKER_STATE_IDLE:
        return "idle";
    case PROBED__V1__WORKER_STATE__WORKER_STATE_LEASED:
        return "leased";
    case PROBED__V1__WORKER_STATE__WORKER_STATE_DRAINING:
        return "draining";
    case PROBED__V1__WORKER_STATE__WORKER_STATE_ENDING:
        return "ending";
    default:
        return "unknown";
    }
}

static enum command_exit print_workers(const Probed__V1__ListWorkersResponse *response)
{
    static const char *const heads[] = {">WORKER", ">PID", "STATE",       ">FOR",    "PROVIDER", ">CALLERS",
                                        ">LEASES", ">AGE", ">GENERATION", "SANDBOX", "HOME"};
    struct table table;
    struct view view;
    enum command_exit result;

    view_init(&view, stdout);
    table_init(&table, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < response->n_workers; i++) {
        const Probed__V1__WorkerInfo *worker = response->workers[i];
        char state_age[VIEW_WORDS_SIZE], age[VIEW_WORDS_SIZE];

        view_duration(worker->state_ms, state_age);
        view_duration(worker->age_ms, age);
        table_add(&table, "%" PRIu64, worker->worker_id);
        table_add(&table, "%d", worker->pid);
        table_add(&table, "%s", worker_state_words(worker->state));
        table_add(&table, "%s", state_age);
        table_add(&table, "%s", or_dash(worker->provider));
        table_add(&table, "%u", worker->callers);
        table_add(&table, "%" PRIu64, worker->leases);
        table_add(&table, "%s", age);
        table_add(&table, "%" PRIu64, worker->generation);
        table_add(&table, "%s", or_dash(worker->sandbox));
        table_add(&table, "%s", worker->home);
    }
    result = print_table(&table, &view);
    table_fini(&table);
    return result;
}

static enum command_exit show_workers(const struct command_options *options, struct probed_channel *channel, char *home)
{
    Probed__V1__ListWorkersRequest request = PROBED__V1__LIST_WORKERS_REQUEST__INIT;
    Probed__V1__ListWorkersResponse *response;
    struct probed_status status;
    enum command_exit result;

    request.home = home;
    status = probed_list_workers(channel, &request, NULL, &response);
    if (status.code != PROBED_OK)
        return command_fail(&status, "workers");
    result = options->json ? command_print_json(&response->base) : print_workers(response);
    probed__v1__list_workers_response__free_unpacked(response, NULL);
    return result;
}

enum command_exit command_workers(int argc, char **argv, struct command_options *common)
{
    struct workers_options options = {.common = common};
    struct probed_channel *channel;
    char home[COMMAND_HOME_SIZE] = "";
    enum command_exit result;

    argp_parse(&workers_argp, argc, argv, 0, NULL, &options);
    if (options.home != NULL && !command_home(options.home, home))
        return COMMAND_USAGE;
    result = command_open(common, &channel);
    if (result != COMMAND_OK)
        return result;
    result = show_workers(common, channel, home);
    probed_channel_close(channel);
    return result;
}
