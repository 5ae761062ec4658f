/* What a run has shown. */
#include "client/probeload/report.h"

#include <inttypes.h>

static const char *const origin_names[LOAD_ORIGIN_COUNT] = {"unknown", "warm", "cold", "joined", "cached"};

static double calls_per_second(const struct load_result *result)
{
    return result->elapsed_ns == 0 ? 0 : (double)result->latency.count * 1e9 / (double)result->elapsed_ns;
}

static double ms_at(const struct load_result *result, double part)
{
    return (double)histogram_value_at(&result->latency, part) / 1e6;
}

void report_print(FILE *out, const struct load_plan *plan, const struct load_result *result)
{
    fprintf(out, "%zu in flight on %zu connection%s, %zu home%s, %zu key%s, %s, %.2f s\n", plan->in_flight,
            plan->connection_count, plan->connection_count == 1 ? "" : "s", plan->home_count,
            plan->home_count == 1 ? "" : "s", plan->key_count, plan->key_count == 1 ? "" : "s", plan->provider,
            (double)result->elapsed_ns / 1e9);
    fprintf(out, "  calls    %" PRIu64 ", %.0f a second\n", result->latency.count, calls_per_second(result));
    fprintf(out, "  latency  p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms\n", ms_at(result, 0.5),
            ms_at(result, 0.9), ms_at(result, 0.99), ms_at(result, 0.999), (double)result->latency.max / 1e6);
    fputs("  status  ", out);
    for (unsigned code = 0; code < LOAD_CODE_COUNT; code++) {
        if (result->by_code[code] > 0)
            fprintf(out, " %s %" PRIu64, probed_code_name((enum probed_code)code), result->by_code[code]);
    }
    fputs("\n  origin  ", out);
    for (unsigned origin = 0; origin < LOAD_ORIGIN_COUNT; origin++) {
        if (result->by_origin[origin] > 0)
            fprintf(out, " %s %" PRIu64, origin_names[origin], result->by_origin[origin]);
    }
    fputc('\n', out);
}

void report_print_json(FILE *out, const struct load_plan *plan, const struct load_result *result)
{
    const char *separator = "";

    fprintf(out, "{\"in_flight\":%zu,\"connections\":%zu,\"homes\":%zu,\"api_keys\":%zu,\"seconds\":%.6f,",
            plan->in_flight, plan->connection_count, plan->home_count, plan->key_count,
            (double)result->elapsed_ns / 1e9);
    fprintf(out, "\"calls\":%" PRIu64 ",\"calls_per_second\":%.1f,", result->latency.count, calls_per_second(result));
    fprintf(out, "\"latency_ms\":{\"mean\":%.6f,\"p50\":%.6f,\"p90\":%.6f,\"p99\":%.6f,\"p99.9\":%.6f,\"max\":%.6f},",
            histogram_mean(&result->latency) / 1e6, ms_at(result, 0.5), ms_at(result, 0.9), ms_at(result, 0.99),
            ms_at(result, 0.999), (double)result->latency.max / 1e6);
    fputs("\"by_status\":{", out);
    for (unsigned code = 0; code < LOAD_CODE_COUNT; code++) {
        if (result->by_code[code] == 0)
            continue;
        fprintf(out, "%s\"%s\":%" PRIu64, separator, probed_code_name((enum probed_code)code), result->by_code[code]);
        separator = ",";
    }
    separator = "";
    fputs("},\"by_origin\":{", out);
    for (unsigned origin = 0; origin < LOAD_ORIGIN_COUNT; origin++) {
        if (result->by_origin[origin] == 0)
            continue;
        fprintf(out, "%s\"%s\":%" PRIu64, separator, origin_names[origin], result->by_origin[origin]);
        separator = ",";
    }
    fprintf(out, "},\"violation\":%s}\n", result->evidence[0] != '\0' ? "true" : "false");
}
