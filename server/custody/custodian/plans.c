/* Plans from a configuration, see plans.h. */
#include "server/custody/custodian/plans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char reader_name[] = "probed-reader"; /* lies beside the custodian */

static enum seal_level seal_level_of(const char *word)
{
    return strcmp(word, "off") == 0 ? SEAL_OFF : strcmp(word, "strict") == 0 ? SEAL_STRICT : SEAL_AUTO;
}

/* A reader may read what a worker may, and nothing else. */
static struct status prepare_seal(const struct config *config, bool of_readers, struct seal *seal_out)
{
    const struct seal_settings settings = {
        .level = seal_level_of(config->worker.sandbox),
        .writable_home = config->worker.writable_home && !of_readers,
        .foreign_credentials = config->worker.foreign_credentials,
        .read_paths = config->worker.read_paths.words,
        .connect_ports = config->worker.connect_ports.words,
        .no_network = of_readers,
    };

    return seal_prepare(&settings, seal_find_offer(), seal_out);
}

static void compose_worker(const struct plans_source *source, struct plans *plans)
{
    const struct config *config = &plans->config;

    plans->worker = (struct spawn_plan){
        .command = config->worker.command.words,
        .search_path = source->search_path,
        .start_directory = source->start_directory,
        .environment = {.pass = config->worker.env_pass.words, .home_env = config->worker.home_env},
        .foreign_credentials = config->worker.foreign_credentials,
        .seal = &plans->worker_seal,
        .term_grace_ms = config->pool.term_grace_ms,
        .file_limit = source->file_limit,
    };
}

static void compose_reader(const struct plans_source *source, struct plans *plans)
{
    static char foreign[] = "--foreign-credentials", yes[] = "yes", no[] = "no";

    snprintf(plans->reader_program, sizeof plans->reader_program, "%.*s/%s",
             (int)(sizeof plans->reader_program - sizeof reader_name - 1), source->folder, reader_name);
    plans->reader_command[0] = plans->reader_program;
    plans->reader_command[1] = foreign;
    plans->reader_command[2] = plans->config.worker.foreign_credentials ? yes : no;
    plans->reader = plans->worker;
    plans->reader.command = plans->reader_command;
    plans->reader.dotenv_withheld = true;
    plans->reader.seal = &plans->reader_seal;
}

struct status plans_make(const struct plans_source *source, struct config *config, struct plans **plans_out)
{
    struct plans *plans = calloc(1, sizeof *plans);
    struct status status;

    if (plans == NULL) {
        config_fini(config);
        return status_make(STATUS_RESOURCE_EXHAUSTED, "no memory for the settings of workers");
    }
    plans->config = *config;
    *config = (struct config){0};
    status = prepare_seal(&plans->config, false, &plans->worker_seal);
    if (status_is_ok(&status))
        status = prepare_seal(&plans->config, true, &plans->reader_seal);
    if (!status_is_ok(&status)) {
        plans_destroy(plans);
        return status;
    }
    compose_worker(source, plans);
    compose_reader(source, plans);
    *plans_out = plans;
    return status;
}

struct status plans_read(const struct plans_source *source, struct plans **plans_out)
{
    struct config config;
    enum config_mode mode;
    struct status status = config_load(source->program, source->argc, source->argv, source->folder, &config, &mode);

    return status_is_ok(&status) ? plans_make(source, &config, plans_out) : status;
}

/* How long an answer may be is the daemon's to see to. */
static void note_change(void *context, const struct config_change *change)
{
    bool *differ = context;

    if (strncmp(change->setting, "worker.", 7) == 0 && strcmp(change->setting, "worker.reply_bytes_max") != 0)
        *differ = true;
}

bool plans_differ(const struct plans *one, const struct plans *other)
{
    bool differ = false;

    (void)config_compare(&one->config, &other->config, note_change, &differ);
    return differ;
}

void plans_destroy(struct plans *plans)
{
    if (plans == NULL)
        return;
    seal_fini(&plans->worker_seal);
    seal_fini(&plans->reader_seal);
    config_fini(&plans->config);
    free(plans);
}
