#include "client/probeload/limit.h"

static const double PRECISION = 1.03; /* how near the highest kept and the lowest lost come */
static const double RATE_MIN = 1;

void limit_search_init(struct limit_search *search, double first_rate)
{
    *search = (struct limit_search){.rate = first_rate};
}

bool limit_search_note(struct limit_search *search, bool was_kept)
{
    if (was_kept) {
        search->kept = search->rate;
    } else if (!search->second_chance) {
        search->second_chance = true;
        return true;
    } else {
        search->lost = search->rate;
    }
    search->second_chance = false;
    if (search->lost == 0)
        search->rate *= 2;
    else if (search->kept == 0)
        search->rate /= 2;
    else
        search->rate = (search->kept + search->lost) / 2;
    return search->rate >= RATE_MIN &&
           (search->kept == 0 || search->lost == 0 || search->lost / search->kept > PRECISION);
}

static struct limit_step step_of(double rate, const struct load_result *result, uint64_t p99_ns_max)
{
    struct limit_step step = {.rate = rate,
                              .answered_rate = load_result_rate(result),
                              .p99_ns = histogram_value_at(&result->sum->probes, 0.99),
                              .failed_count = result->sum->kinds[TALLY_FAILED].count,
                              .unsent_count = result->unsent_count};

    step.kept = step.failed_count == 0 && step.unsent_count == 0 && result->failure.code == PROBED_OK &&
                result->sum->probes.count > 0 && step.p99_ns <= p99_ns_max;
    return step;
}

struct probed_status limit_find(const struct load_plan *plan, const struct load_watcher *watcher,
                                struct limit_report *report, struct load_result *result_out)
{
    struct load_plan trial = *plan;
    struct limit_search search;
    struct load_result result = {0}, best = {0};
    struct probed_status status;
    bool more = true;

    report->rate = 0;
    report->step_count = 0;
    limit_search_init(&search, plan->rate);
    while (more && report->step_count < LIMIT_STEP_COUNT_MAX) {
        struct limit_step *step = &report->steps[report->step_count];

        trial.rate = search.rate;
        trial.seed++;
        status = load_run(&trial, watcher, &result);
        if (status.code != PROBED_OK) {
            load_result_fini(&best);
            return status;
        }
        *step = step_of(search.rate, &result, report->p99_ns_max);
        report->step_count++;
        more = limit_search_note(&search, step->kept) && result.evidence[0] == '\0' && !result.unreachable &&
               !load_is_stopped();
        if (step->kept || report->rate == 0 || result.evidence[0] != '\0') {
            load_result_fini(&best);
            best = result;
            report->result_rate = step->rate;
        } else {
            load_result_fini(&result);
        }
        if (step->kept)
            report->rate = step->rate;
    }
    *result_out = best;
    return (struct probed_status){.code = PROBED_OK};
}
