/* What a run has shown, in words and in JSON. */
#include "client/probeload/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- pieces ---- */

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

void report_describe(const struct load_plan *plan, char out[REPORT_LINE_SIZE])
{
    static const char *const spreads[] = {" in turn", " drawn alike", " drawn by Zipf"};
    char how[96];
    int size;

    if (plan->rate > 0)
        snprintf(how, sizeof how, "%.0f calls/s, %s arrivals", plan->rate, plan->constant ? "constant" : "Poisson");
    else if (plan->thread_count > 0)
        snprintf(how, sizeof how, "%zu thread%s, one call each", plan->thread_count, plural(plan->thread_count));
    else
        snprintf(how, sizeof how, "%zu in flight", plan->in_flight);
    size = snprintf(out, REPORT_LINE_SIZE, "%s on %zu connection%s, %zu home%s%s", how, plan->connection_count,
                    plural(plan->connection_count), plan->home_count, plural(plan->home_count),
                    plan->home_count > 1 ? spreads[plan->spread] : "");
    if (plan->provider_count > 1)
        size += snprintf(out + size, REPORT_LINE_SIZE - (size_t)size, ", %zu providers", plan->provider_count);
    if (plan->key_count > 0)
        size += snprintf(out + size, REPORT_LINE_SIZE - (size_t)size, ", %zu key%s", plan->key_count,
                         plural(plan->key_count));
    if (plan->subscriber_count > 0)
        snprintf(out + size, REPORT_LINE_SIZE - (size_t)size, ", %zu subscriber%s", plan->subscriber_count,
                 plural(plan->subscriber_count));
}

static void read_processor(char *out, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");

    snprintf(out, size, "unknown processor");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *value = strstr(line, ": ");

        if (strncmp(line, "model name", 10) != 0 || value == NULL)
            continue;
        value[strcspn(value, "\n")] = '\0';
        snprintf(out, size, "%s", value + 2);
        break;
    }
    if (file != NULL)
        fclose(file);
}

void report_machine(char out[REPORT_LINE_SIZE])
{
    char processor[96];
    struct utsname system;
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    read_processor(processor, sizeof processor);
    uname(&system);
    snprintf(out, REPORT_LINE_SIZE, "%s, %ld CPU%s, %.24s %.64s", processor, count, count == 1 ? "" : "s",
             system.sysname, system.release);
}

const char *report_time(uint64_t ns, char out[REPORT_TIME_SIZE])
{
    double us = (double)ns / 1e3;
    const char *unit = us < 999.5 ? "µs" : us < 999.5e3 ? "ms" : "s";
    double value = us < 999.5 ? us : us < 999.5e3 ? us / 1e3 : us / 1e6;

    snprintf(out, REPORT_TIME_SIZE, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, unit);
    return out;
}

static const double parts[] = {0.5, 0.9, 0.99, 0.999, 0.9999};
static const char *const part_names[] = {"p50", "p90", "p99", "p99.9", "p99.99"};
enum { PART_COUNT = sizeof parts / sizeof parts[0] };

/* ---- for a person ---- */

enum { TIME_COLUMNS = 8 };

/* To the right of its columns; "µ" is one of them, and two bytes. */
static void print_time(FILE *out, uint64_t ns)
{
    char text[REPORT_TIME_SIZE];
    bool is_micro = strstr(report_time(ns, text), "µ") != NULL;

    fprintf(out, "%*s", TIME_COLUMNS + (is_micro ? 1 : 0), text);
}

static void print_latency(FILE *out, const char *name, const struct histogram *histogram)
{
    fprintf(out, "  %-10s %11" PRIu64, name, histogram->count);
    for (size_t i = 0; i < PART_COUNT; i++) {
        fputs("  ", out);
        print_time(out, histogram_value_at(histogram, parts[i]));
    }
    fputs("  ", out);
    print_time(out, histogram->max);
    fputc('\n', out);
}

static void print_latencies(FILE *out, const struct tally_sum *sum)
{
    fprintf(out, "  %-10s %11s", "", "count");
    for (size_t i = 0; i < PART_COUNT; i++)
        fprintf(out, "  %*s", TIME_COLUMNS, part_names[i]);
    fprintf(out, "  %*s\n", TIME_COLUMNS, "max");
    print_latency(out, "probes", &sum->probes);
    for (size_t kind = 0; kind < TALLY_KIND_COUNT; kind++) {
        if (sum->kinds[kind].count > 0 && sum->kinds[kind].count != sum->probes.count)
            print_latency(out, tally_kind_name((enum tally_kind)kind), &sum->kinds[kind]);
        else if (sum->kinds[kind].count > 0)
            fprintf(out, "  all of them %s\n", tally_kind_name((enum tally_kind)kind));
    }
}

static void print_codes(FILE *out, const char *name, const uint64_t counts[TALLY_CODE_COUNT])
{
    bool named = false;

    for (unsigned code = 0; code < TALLY_CODE_COUNT; code++) {
        if (counts[code] == 0)
            continue;
        fprintf(out, "%s %s %" PRIu64, named ? "," : name, probed_code_name((enum probed_code)code), counts[code]);
        named = true;
    }
    if (named)
        fputc('\n', out);
}

static void print_checks(FILE *out, const struct load_result *result)
{
    const struct ledger_counts *checked = &result->checked;

    fprintf(out,
            "  checked %" PRIu64 " answers, %" PRIu64 " of them signed, %" PRIu64 " invalidations, %" PRIu64
            " events, %" PRIu64 " gap%s: %s\n",
            checked->answers, checked->answers_signed, checked->invalidations, checked->events, checked->gaps,
            plural(checked->gaps), result->evidence[0] != '\0' ? "A PROMISE WAS BROKEN" : "every promise kept");
}

static void print_limit(FILE *out, const struct limit_report *limit)
{
    char bound[REPORT_TIME_SIZE];

    fprintf(out, "the highest rate with p99 within %s\n", report_time(limit->p99_ns_max, bound));
    for (size_t i = 0; i < limit->step_count; i++) {
        const struct limit_step *step = &limit->steps[i];

        fprintf(out, "  %10.0f/s: answered %10.0f/s, p99 ", step->rate, step->answered_rate);
        print_time(out, step->p99_ns);
        fprintf(out, ", %" PRIu64 " failed, %" PRIu64 " not sent: %s\n", step->failed_count, step->unsent_count,
                step->kept ? "kept" : "lost");
    }
    if (limit->rate > 0)
        fprintf(out, "  limit %.0f calls/s\n", limit->rate);
    else
        fputs("  none that was tried\n", out);
}

void report_print(FILE *out, const struct report *report)
{
    const struct load_result *result = report->result;
    char line[REPORT_LINE_SIZE];

    if (report->limit != NULL)
        print_limit(out, report->limit);
    report_describe(report->plan, line);
    fprintf(out, "%s\n", line);
    fprintf(out, "  %.2f s, %.0f calls/s answered\n", (double)result->elapsed_ns / 1e9, load_result_rate(result));
    if (result->unsent_count > 0)
        fprintf(out, "  %" PRIu64 " calls were due and could not be sent: latencies are a lower bound\n",
                result->unsent_count);
    print_latencies(out, result->sum);
    print_codes(out, "  status", result->sum->probes_by_code);
    print_codes(out, "  status of invalidations", result->sum->invalidations_by_code);
    print_checks(out, result);
}

/* ---- for a program ---- */

static void print_json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            fputc(*at, out);
    }
    fputc('"', out);
}

static void print_json_latency(FILE *out, const struct histogram *histogram)
{
    fprintf(out, "{\"count\":%" PRIu64 ",\"mean\":%.6f", histogram->count, histogram_mean(histogram) / 1e6);
    for (size_t i = 0; i < PART_COUNT; i++)
        fprintf(out, ",\"%s\":%.6f", part_names[i], (double)histogram_value_at(histogram, parts[i]) / 1e6);
    fprintf(out, ",\"max\":%.6f}", (double)histogram->max / 1e6);
}

static void print_json_codes(FILE *out, const char *name, const uint64_t counts[TALLY_CODE_COUNT])
{
    const char *separator = "";

    fprintf(out, ",\"%s\":{", name);
    for (unsigned code = 0; code < TALLY_CODE_COUNT; code++) {
        if (counts[code] == 0)
            continue;
        fprintf(out, "%s\"%s\":%" PRIu64, separator, probed_code_name((enum probed_code)code), counts[code]);
        separator = ",";
    }
    fputc('}', out);
}

static void print_json_kinds(FILE *out, const struct tally_sum *sum)
{
    const char *separator = "";

    fputs(",\"by_origin\":{", out);
    for (size_t kind = TALLY_WARM; kind <= TALLY_CACHED; kind++) {
        if (sum->kinds[kind].count == 0)
            continue;
        fprintf(out, "%s\"%s\":%" PRIu64, separator, tally_kind_name((enum tally_kind)kind), sum->kinds[kind].count);
        separator = ",";
    }
    separator = "";
    fputs("},\"latency_ms_by_kind\":{", out);
    for (size_t kind = 0; kind < TALLY_KIND_COUNT; kind++) {
        if (sum->kinds[kind].count == 0)
            continue;
        fprintf(out, "%s\"%s\":", separator, tally_kind_name((enum tally_kind)kind));
        print_json_latency(out, &sum->kinds[kind]);
        separator = ",";
    }
    fputc('}', out);
}

static void print_json_rows(FILE *out, const struct tally_sum *sum)
{
    fputs(",\"over_time\":[", out);
    for (size_t i = 0; i < sum->row_count; i++) {
        const struct tally_row *row = &sum->rows[i];

        fprintf(out,
                "%s{\"at_s\":%.3f,\"calls\":%" PRIu64 ",\"calls_per_second\":%.1f,\"p50\":%.6f,\"p99\":%.6f,"
                "\"max\":%.6f}",
                i == 0 ? "" : ",", row->at_s, row->call_count,
                row->seconds > 0 ? (double)row->call_count / row->seconds : 0, (double)row->p50_ns / 1e6,
                (double)row->p99_ns / 1e6, (double)row->max_ns / 1e6);
    }
    fputc(']', out);
}

static void print_json_limit(FILE *out, const struct limit_report *limit)
{
    fprintf(out, ",\"limit\":{\"p99_ms_max\":%.6f,\"calls_per_second\":%.1f,\"steps\":[",
            (double)limit->p99_ns_max / 1e6, limit->rate);
    for (size_t i = 0; i < limit->step_count; i++) {
        const struct limit_step *step = &limit->steps[i];

        fprintf(out,
                "%s{\"rate\":%.1f,\"answered_per_second\":%.1f,\"p99\":%.6f,\"failed\":%" PRIu64 ",\"unsent\":%" PRIu64
                ",\"kept\":%s}",
                i == 0 ? "" : ",", step->rate, step->answered_rate, (double)step->p99_ns / 1e6, step->failed_count,
                step->unsent_count, step->kept ? "true" : "false");
    }
    fputs("]}", out);
}

static void print_json_plan(FILE *out, const struct load_plan *plan)
{
    char machine[REPORT_LINE_SIZE];

    report_machine(machine);
    fputs("{\"machine\":", out);
    print_json_text(out, machine);
    fprintf(out, ",\"loop\":\"%s\",\"rate\":%.3f,\"in_flight\":%zu,\"connections\":%zu,\"threads\":%zu",
            plan->rate > 0 ? plan->constant ? "open, constant" : "open, Poisson" : "closed", plan->rate,
            plan->in_flight, plan->connection_count, plan->thread_count);
    fprintf(out, ",\"providers\":%zu,\"homes\":%zu,\"api_keys\":%zu,\"subscribers\":%zu", plan->provider_count,
            plan->home_count, plan->key_count, plan->subscriber_count);
    fprintf(out, ",\"refresh_share\":%g,\"invalidate_share\":%g,\"warm_up_seconds\":%g,\"seed\":%" PRIu64,
            plan->refresh_share, plan->invalidation_share, (double)plan->warm_up_ns / 1e9, plan->seed);
}

void report_print_json(FILE *out, const struct report *report)
{
    const struct load_result *result = report->result;
    const struct tally_sum *sum = result->sum;

    print_json_plan(out, report->plan);
    fprintf(out, ",\"seconds\":%.6f,\"calls\":%" PRIu64 ",\"calls_per_second\":%.1f,\"unsent\":%" PRIu64,
            (double)result->elapsed_ns / 1e9, sum->probes.count + sum->kinds[TALLY_INVALIDATED].count,
            load_result_rate(result), result->unsent_count);
    fputs(",\"latency_ms\":", out);
    print_json_latency(out, &sum->probes);
    print_json_kinds(out, sum);
    print_json_codes(out, "by_status", sum->probes_by_code);
    print_json_codes(out, "invalidations_by_status", sum->invalidations_by_code);
    fprintf(out,
            ",\"checked\":{\"answers\":%" PRIu64 ",\"signed\":%" PRIu64 ",\"invalidations\":%" PRIu64
            ",\"events\":%" PRIu64 ",\"gaps\":%" PRIu64 "},\"violation\":%s,\"evidence\":",
            result->checked.answers, result->checked.answers_signed, result->checked.invalidations,
            result->checked.events, result->checked.gaps, result->evidence[0] != '\0' ? "true" : "false");
    print_json_text(out, result->evidence);
    if (report->limit != NULL)
        print_json_limit(out, report->limit);
    print_json_rows(out, sum);
    fputs("}\n", out);
}

/* ---- HdrHistogram's text ---- */

enum { HGRM_TICKS_PER_HALF = 5 };

void report_print_hgrm(FILE *out, const struct histogram *histogram)
{
    double part = 0;
    bool last = histogram->count == 0;

    fputs("       Value     Percentile TotalCount 1/(1-Percentile)\n\n", out);
    while (!last) {
        uint64_t value = histogram_value_at(histogram, part), count = histogram_count_to(histogram, value);

        last = count == histogram->count;
        if (last)
            fprintf(out, "%12.6f %2.12f %10" PRIu64 "\n", (double)value / 1e6, 1.0, count);
        else
            fprintf(out, "%12.6f %2.12f %10" PRIu64 " %14.2f\n", (double)value / 1e6, part, count, 1 / (1 - part));
        part += 1 / (HGRM_TICKS_PER_HALF * exp2(floor(log2(1 / (1 - part))) + 1));
    }
    fprintf(out, "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n", histogram_mean(histogram) / 1e6,
            histogram_deviation(histogram) / 1e6);
    fprintf(out, "#[Max     = %12.6f, Total count    = %12" PRIu64 "]\n", (double)histogram->max / 1e6,
            histogram->count);
    fprintf(out, "#[Buckets = %12d, SubBuckets     = %12d]\n", HISTOGRAM_POWER_MAX - HISTOGRAM_PART_BITS + 1,
            1 << HISTOGRAM_PART_BITS);
}

/* ---- progress ---- */

void report_draw_progress(FILE *out, const struct load_progress *progress)
{
    const struct tally_row *row = progress->row;
    char p50[REPORT_TIME_SIZE], p99[REPORT_TIME_SIZE], max[REPORT_TIME_SIZE];

    if (progress->elapsed_s <= 0)
        fprintf(out, "\r  warming up, %.1f s to go\033[K", -progress->elapsed_s);
    else
        fprintf(out, "\r%7.1f s %9.0f/s  p50 %s  p99 %s  max %s  %" PRIu64 " calls, %" PRIu64 " failed\033[K",
                progress->elapsed_s, row->seconds > 0 ? (double)row->call_count / row->seconds : 0,
                report_time(row->p50_ns, p50), report_time(row->p99_ns, p99), report_time(row->max_ns, max),
                progress->call_count, progress->failed_count);
    fflush(out);
}

void report_clear_progress(FILE *out)
{
    fputs("\r\033[K", out);
    fflush(out);
}
