/* Two panels under the figures: on the left latency by percentile, where each step to the right is another nine; on the
 * right throughput and latency over time.  Latencies have a logarithmic scale: a hit and a stall must both be seen. */
#include "client/probeload/chart.h"

#include <inttypes.h>
#include <math.h>

enum {
    CHART_WIDTH = 1080,
    CHART_HEIGHT = 600,
    PANEL_TOP = 178,
    PANEL_BOTTOM = 520,
    LEFT_BEGIN = 76,
    LEFT_END = 520,
    RIGHT_BEGIN = 620,
    RIGHT_END = 1044,
    RATE_BOTTOM = 300, /* the upper part of the right panel */
    TIME_TOP = 340,
    CURVE_POINT_COUNT = 240,
    CURVE_COUNT_MIN = 20, /* values, for a curve of their own */
};

static const char *const kind_colours[TALLY_KIND_COUNT] = {"#c0392b", "#e67e22", "#8e44ad", "#2980b9",
                                                           "#16a085", "#7f8c8d", "#d4ac0d"};

/* A value's place on an axis. */
struct axis {
    double from, to;   /* values, or their logarithms */
    double begin, end; /* pixels */
};

static double axis_at(const struct axis *axis, double value)
{
    double part = axis->to > axis->from ? (value - axis->from) / (axis->to - axis->from) : 0;

    return axis->begin + (part < 0 ? 0 : part > 1 ? 1 : part) * (axis->end - axis->begin);
}

/* From a power of ten to a power of ten, around these. */
static struct axis latency_axis(uint64_t min_ns, uint64_t max_ns, double bottom, double top)
{
    double from = floor(log10((double)(min_ns < 100 ? 100 : min_ns))), to = ceil(log10((double)max_ns + 1));

    return (struct axis){.from = from, .to = to > from ? to : from + 1, .begin = bottom, .end = top};
}

static double latency_at(const struct axis *axis, uint64_t ns)
{
    return axis_at(axis, log10(ns < 1 ? 1.0 : (double)ns));
}

/* ---- pieces ---- */

static void draw_text(FILE *out, double x, double y, const char *class, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '>' || *text == '&')
            fprintf(out, "&#%d;", *text);
        else if ((unsigned char)*text >= 0x20)
            fputc(*text, out);
    }
    fputs("</text>\n", out);
}

static void draw_line(FILE *out, double x1, double y1, double x2, double y2, const char *class)
{
    fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2, class);
}

/* Decades, with lines across. */
static void draw_latency_axis(FILE *out, const struct axis *axis, double x1, double x2)
{
    char text[REPORT_TIME_SIZE];

    for (double decade = axis->from; decade <= axis->to; decade++) {
        uint64_t ns = (uint64_t)(pow(10, decade) + 0.5);
        const char *unit = ns < 1000 ? "ns" : ns < 1000000 ? "µs" : ns < 1000000000 ? "ms" : "s";
        uint64_t scale = ns < 1000 ? 1 : ns < 1000000 ? 1000 : ns < 1000000000 ? 1000000 : 1000000000;

        snprintf(text, sizeof text, "%" PRIu64 " %s", ns / scale, unit);
        draw_line(out, x1, latency_at(axis, ns), x2, latency_at(axis, ns), "grid");
        draw_text(out, x1 - 8, latency_at(axis, ns) + 4, "right small", text);
        for (unsigned part = 2; part < 10 && decade < axis->to; part++)
            draw_line(out, x1, latency_at(axis, ns * part), x2, latency_at(axis, ns * part), "fine");
    }
}

static void draw_style(FILE *out)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\">\n",
            CHART_WIDTH, CHART_HEIGHT, CHART_WIDTH, CHART_HEIGHT);
    fputs("<style>text{fill:#2c3e50;font-size:13px}.small{font-size:12px;fill:#5d6d7e}.title{font-size:20px;"
          "font-weight:bold}.head{font-size:14px;font-weight:bold}.figure{font-size:22px;font-weight:bold}"
          ".right{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#ccd1d6;stroke-width:1}"
          ".fine{stroke:#eef0f2;stroke-width:1}.frame{stroke:#5d6d7e;stroke-width:1}"
          ".curve{fill:none;stroke-width:1.8;stroke-linejoin:round}</style>\n",
          out);
    fprintf(out, "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#ffffff\"/>\n", CHART_WIDTH, CHART_HEIGHT);
}

/* ---- the figures ---- */

static void draw_figure(FILE *out, unsigned index, const char *name, const char *value)
{
    double x = 36 + index * 172.0;

    draw_text(out, x, 120, "figure", value);
    draw_text(out, x, 140, "small", name);
}

static void draw_heading(FILE *out, const struct report *report, const char *title)
{
    static const double figure_parts[] = {0.5, 0.99, 0.999, 0.9999};
    static const char *const figure_names[] = {"p50", "p99", "p99.9", "p99.99"};
    const struct histogram *probes = &report->result->sum->probes;
    char line[REPORT_LINE_SIZE], text[REPORT_TIME_SIZE];

    draw_text(out, 36, 42, "title", title != NULL ? title : "probed under load");
    report_describe(report->plan, line);
    draw_text(out, 36, 66, "text", line);
    report_machine(line);
    draw_text(out, 36, 84, "small", line);
    snprintf(line, sizeof line, "%.0f", load_result_rate(report->result));
    draw_figure(out, 0, "calls a second", line);
    for (unsigned i = 0; i < sizeof figure_parts / sizeof figure_parts[0]; i++)
        draw_figure(out, i + 1, figure_names[i], report_time(histogram_value_at(probes, figure_parts[i]), text));
    draw_figure(out, 5, "max", report_time(probes->max, text));
}

/* ---- by percentile ---- */

static void draw_percentile_curve(FILE *out, const struct histogram *histogram, const struct axis *nines,
                                  const struct axis *latency, const char *colour, double width)
{
    double last = log10((double)histogram->count);

    fputs("<polyline class=\"curve\" points=\"", out);
    for (unsigned i = 0; i <= CURVE_POINT_COUNT; i++) {
        double nine = (last < nines->to ? last : nines->to) * i / CURVE_POINT_COUNT;

        fprintf(out, "%.1f,%.1f ", axis_at(nines, nine),
                latency_at(latency, histogram_value_at(histogram, 1 - pow(10, -nine))));
    }
    fprintf(out, "\" style=\"stroke:%s;stroke-width:%.1f\"/>\n", colour, width);
}

static void draw_legend(FILE *out, unsigned index, const char *name, const char *colour)
{
    double x = LEFT_BEGIN + 14 + (index / 4) * 100.0, y = PANEL_TOP + 18 + index % 4 * 17.0;

    fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"4\" fill=\"%s\"/>\n", x, y - 6, colour);
    draw_text(out, x + 20, y, "small", name);
}

static void draw_percentiles(FILE *out, const struct tally_sum *sum)
{
    static const char *const names[] = {"0 %",     "90 %",     "99 %",      "99.9 %",
                                        "99.99 %", "99.999 %", "99.9999 %", "99.99999 %"};
    const struct histogram *probes = &sum->probes;
    struct axis nines = {.to = floor(log10((double)probes->count)), .begin = LEFT_BEGIN, .end = LEFT_END};
    struct axis latency;
    uint64_t min_ns = histogram_value_at(probes, 0), max_ns = probes->max;
    unsigned legend = 0;

    nines.to = nines.to < 2 ? 2 : nines.to > 7 ? 7 : nines.to;
    for (size_t kind = 0; kind < TALLY_KIND_COUNT; kind++) {
        if (sum->kinds[kind].count >= CURVE_COUNT_MIN) {
            max_ns = sum->kinds[kind].max > max_ns ? sum->kinds[kind].max : max_ns;
            if (histogram_value_at(&sum->kinds[kind], 0) < min_ns)
                min_ns = histogram_value_at(&sum->kinds[kind], 0);
        }
    }
    latency = latency_axis(min_ns, max_ns, PANEL_BOTTOM, PANEL_TOP);
    draw_text(out, LEFT_BEGIN, PANEL_TOP - 12, "head", "Latency by percentile");
    draw_latency_axis(out, &latency, LEFT_BEGIN, LEFT_END);
    for (unsigned nine = 0; nine <= (unsigned)nines.to; nine++) {
        draw_line(out, axis_at(&nines, nine), PANEL_TOP, axis_at(&nines, nine), PANEL_BOTTOM, "grid");
        draw_text(out, axis_at(&nines, nine), PANEL_BOTTOM + 20, "middle small", names[nine]);
    }
    draw_text(out, (LEFT_BEGIN + LEFT_END) / 2.0, PANEL_BOTTOM + 42, "middle small", "percentile");
    draw_percentile_curve(out, probes, &nines, &latency, "#2c3e50", 3);
    draw_legend(out, legend++, "all probes", "#2c3e50");
    for (size_t kind = 0; kind < TALLY_KIND_COUNT; kind++) {
        if (sum->kinds[kind].count < CURVE_COUNT_MIN || sum->kinds[kind].count == probes->count)
            continue;
        draw_percentile_curve(out, &sum->kinds[kind], &nines, &latency, kind_colours[kind], 1.8);
        draw_legend(out, legend++, tally_kind_name((enum tally_kind)kind), kind_colours[kind]);
    }
}

/* ---- over time ---- */

static void draw_rate(FILE *out, const struct tally_sum *sum, const struct axis *time)
{
    struct axis rate = {.begin = RATE_BOTTOM, .end = PANEL_TOP};
    double step;
    char text[32];

    for (size_t i = 0; i < sum->row_count; i++) {
        double value = sum->rows[i].seconds > 0 ? (double)sum->rows[i].call_count / sum->rows[i].seconds : 0;

        rate.to = value > rate.to ? value : rate.to;
    }
    step = pow(10, floor(log10(rate.to > 1 ? rate.to : 1)));
    step = rate.to / step < 2 ? step / 2 : rate.to / step > 5 ? step * 2 : step;
    rate.to = ceil(rate.to / step) * step;
    draw_text(out, RIGHT_BEGIN, PANEL_TOP - 12, "head", "Calls a second, over time");
    for (double value = 0; value <= rate.to * 1.001; value += step) {
        snprintf(text, sizeof text,
                 value >= 1e6   ? "%.1f M"
                 : value >= 1e4 ? "%.0f k"
                                : "%.0f",
                 value >= 1e6   ? value / 1e6
                 : value >= 1e4 ? value / 1e3
                                : value);
        draw_line(out, RIGHT_BEGIN, axis_at(&rate, value), RIGHT_END, axis_at(&rate, value), "grid");
        draw_text(out, RIGHT_BEGIN - 8, axis_at(&rate, value) + 4, "right small", text);
    }
    fprintf(out, "<polygon fill=\"#16a085\" fill-opacity=\"0.25\" stroke=\"#16a085\" points=\"%.1f,%d ",
            axis_at(time, 0), RATE_BOTTOM);
    for (size_t i = 0; i < sum->row_count; i++) {
        const struct tally_row *row = &sum->rows[i];
        double y = axis_at(&rate, row->seconds > 0 ? (double)row->call_count / row->seconds : 0);

        fprintf(out, "%.1f,%.1f %.1f,%.1f ", axis_at(time, row->at_s - row->seconds), y, axis_at(time, row->at_s), y);
    }
    fprintf(out, "%.1f,%d\"/>\n", axis_at(time, time->to), RATE_BOTTOM);
}

static uint64_t row_value(const struct tally_row *row, unsigned which)
{
    return which == 0 ? row->max_ns : which == 1 ? row->p99_ns : row->p50_ns;
}

static void draw_time_curves(FILE *out, const struct tally_sum *sum, const struct axis *time)
{
    static const char *const colours[] = {"#c0392b", "#e67e22", "#2c3e50"};
    static const char *const names[] = {"max", "p99", "p50"};
    uint64_t min_ns = UINT64_MAX, max_ns = 0;
    struct axis latency;

    for (size_t i = 0; i < sum->row_count; i++) {
        if (sum->rows[i].call_count == 0)
            continue;
        min_ns = sum->rows[i].p50_ns < min_ns ? sum->rows[i].p50_ns : min_ns;
        max_ns = sum->rows[i].max_ns > max_ns ? sum->rows[i].max_ns : max_ns;
    }
    latency = latency_axis(min_ns == UINT64_MAX ? 1000 : min_ns, max_ns, PANEL_BOTTOM, TIME_TOP);
    draw_text(out, RIGHT_BEGIN, TIME_TOP - 10, "head", "Latency over time");
    draw_latency_axis(out, &latency, RIGHT_BEGIN, RIGHT_END);
    for (unsigned which = 0; which < 3; which++) {
        fputs("<polyline class=\"curve\" points=\"", out);
        for (size_t i = 0; i < sum->row_count; i++) {
            const struct tally_row *row = &sum->rows[i];

            if (row->call_count > 0)
                fprintf(out, "%.1f,%.1f ", axis_at(time, row->at_s - row->seconds / 2),
                        latency_at(&latency, row_value(row, which)));
        }
        fprintf(out, "\" style=\"stroke:%s\"/>\n", colours[which]);
        fprintf(out, "<rect x=\"%.1f\" y=\"%d\" width=\"14\" height=\"4\" fill=\"%s\"/>\n",
                RIGHT_END - 150 + which * 54.0, TIME_TOP - 16, colours[which]);
        draw_text(out, RIGHT_END - 132 + which * 54.0, TIME_TOP - 10, "small", names[which]);
    }
}

static void draw_over_time(FILE *out, const struct tally_sum *sum)
{
    struct axis time = {.begin = RIGHT_BEGIN, .end = RIGHT_END};
    double step;
    char text[32];

    for (size_t i = 0; i < sum->row_count; i++)
        time.to = sum->rows[i].at_s > time.to ? sum->rows[i].at_s : time.to;
    if (time.to <= 0)
        return;
    draw_rate(out, sum, &time);
    draw_time_curves(out, sum, &time);
    step = pow(10, floor(log10(time.to)));
    step = time.to / step < 2 ? step / 4 : time.to / step < 5 ? step / 2 : step;
    for (double at = 0; at <= time.to * 1.001; at += step) {
        snprintf(text, sizeof text, "%g", at);
        draw_line(out, axis_at(&time, at), PANEL_BOTTOM, axis_at(&time, at), PANEL_BOTTOM + 5, "frame");
        draw_text(out, axis_at(&time, at), PANEL_BOTTOM + 20, "middle small", text);
    }
    draw_text(out, (RIGHT_BEGIN + RIGHT_END) / 2.0, PANEL_BOTTOM + 42, "middle small", "seconds");
}

static void draw_footer(FILE *out, const struct report *report)
{
    const struct load_result *result = report->result;
    char line[REPORT_LINE_SIZE];

    snprintf(line, sizeof line, "%" PRIu64 " answers checked, %" PRIu64 " of them signed by their worker: %s.  %s",
             result->checked.answers, result->checked.answers_signed,
             result->evidence[0] != '\0' ? "a promise was broken" : "every promise kept",
             report->plan->rate > 0 ? "Latencies count from when a call was due."
                                    : "Closed loop: a stall also stops the asking.");
    draw_text(out, 36, CHART_HEIGHT - 16, "small", line);
}

void chart_draw(FILE *out, const struct report *report, const char *title)
{
    draw_style(out);
    draw_heading(out, report, title);
    if (report->result->sum->probes.count > 0) {
        draw_percentiles(out, report->result->sum);
        draw_over_time(out, report->result->sum);
    }
    draw_footer(out, report);
    fputs("</svg>\n", out);
}
