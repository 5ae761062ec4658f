/* The broken claim, the story that led to it, and the jump out of the run. */
#include "tests/sim/verdict.h"

#include "server/base/invariant.h"

#include <stdarg.h>
#include <stdio.h>

enum { KEPT_COUNT = 48, LINE_SIZE = 256, TEXT_SIZE = 1024 };

bool verdict_traces;

static struct {
    jmp_buf point;
    enum trace_mode mode;
    enum rule rule;
    char text[TEXT_SIZE];
    char kept[KEPT_COUNT][LINE_SIZE];
    size_t line_count; /* of this run */
} verdict;

static const char *const rule_names[RULE_COUNT] = {
    [RULE_NONE] = "none",     [RULE_LEASES] = "leases",     [RULE_FENCES] = "fences",
    [RULE_KEYS] = "keys",     [RULE_CALLS] = "calls",       [RULE_GOOD] = "good",
    [RULE_BOUNDS] = "bounds", [RULE_ORDER] = "order",       [RULE_TURNS] = "turns",
    [RULE_PAUSES] = "pauses", [RULE_NEWS] = "news",         [RULE_COUNTERS] = "counters",
    [RULE_TIME] = "time",     [RULE_QUIESCED] = "quiesced", [RULE_LIVENESS] = "liveness",
    [RULE_MEMORY] = "memory", [RULE_INTERNAL] = "internal",
};

jmp_buf *verdict_begin(enum trace_mode mode)
{
    verdict.mode = mode;
    verdict.rule = RULE_NONE;
    verdict.line_count = 0;
    verdict_traces = mode != TRACE_OFF;
    return &verdict.point;
}

void verdict_broken(enum rule rule, const char *condition, const char *format, ...)
{
    char detail[TEXT_SIZE / 2];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    snprintf(verdict.text, sizeof verdict.text, "%s: %s  [%s]", rule_names[rule], detail, condition);
    verdict.rule = rule;
    longjmp(verdict.point, 1);
}

/* Stands in for server/base/invariant.c: the engine's own complaint is a finding like another. */
void invariant_broken(const char *file, int line, const char *condition)
{
    verdict_broken(RULE_INTERNAL, condition, "invariant broken at %s:%d", file, line);
}

void verdict_trace(const char *format, ...)
{
    char *line = verdict.kept[verdict.line_count++ % KEPT_COUNT];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, LINE_SIZE, format, arguments);
    va_end(arguments);
    if (verdict.mode == TRACE_PRINTED)
        puts(line);
}

enum rule verdict_rule(void)
{
    return verdict.rule;
}

const char *verdict_rule_name(enum rule rule)
{
    return rule_names[rule];
}

const char *verdict_text(void)
{
    return verdict.text;
}

void verdict_print_kept(void)
{
    size_t first = verdict.line_count > KEPT_COUNT ? verdict.line_count - KEPT_COUNT : 0;

    for (size_t i = first; i < verdict.line_count; i++)
        printf("  | %s\n", verdict.kept[i % KEPT_COUNT]);
}
