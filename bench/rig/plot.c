#include "plot.h"

#include <math.h>
#include <string.h>

#define WIDTH 960.0
#define LEFT 330.0 /* labels and names */
#define RIGHT 150.0 /* figures */
#define ROW 18.0
#define GAP 8.0 /* between labels */
#define TOP 22.0 /* the axis' own figures */

struct axis {
	double low, high; /* log10 of ns */
};

void
rig_text_write(FILE *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '<')
			fputs("&lt;", out);
		else if (*p == '>')
			fputs("&gt;", out);
		else if (*p == '&')
			fputs("&amp;", out);
		else if (*p == '"')
			fputs("&quot;", out);
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			fputc(' ', out);
		else
			fputc(*p, out);
	}
}

char *
rig_time_text(double ns, char *out, size_t cap)
{
	static const struct {
		double from;
		const char *unit;
	} units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {0, "ns"}};

	if (!isfinite(ns)) {
		snprintf(out, cap, "–");
		return out;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		double by = units[i].from > 0 ? units[i].from : 1;
		if (ns < units[i].from)
			continue;
		double v = ns / by;
		snprintf(out, cap, "%.*f %s", v >= 100 ? 0 : v >= 10 ? 1 : 2, v, units[i].unit);
		return out;
	}
	snprintf(out, cap, "%.3g ns", ns);
	return out;
}

static void
stretch(struct axis *a, double ns)
{
	if (!isfinite(ns) || ns <= 0)
		return;
	a->low = fmin(a->low, log10(ns));
	a->high = fmax(a->high, log10(ns));
}

/* Room for all that is drawn, and never less than a third of a decade. */
static bool
axis_of(const struct rig_result *r, size_t count, struct axis *out_axis)
{
	struct axis a = {INFINITY, -INFINITY};

	for (size_t i = 0; i < count; i++) {
		stretch(&a, r[i].best);
		stretch(&a, r[i].median);
		stretch(&a, r[i].q3);
		stretch(&a, r[i].p99);
	}
	if (!isfinite(a.low))
		return false;
	double spare = fmax(0.33 - (a.high - a.low), 0.08) / 2;
	a.low -= spare;
	a.high += spare;
	*out_axis = a;
	return true;
}

static double
x_of(const struct axis *a, double ns)
{
	double share = (log10(ns) - a->low) / (a->high - a->low);

	return LEFT + fmin(fmax(share, 0), 1) * (WIDTH - LEFT - RIGHT);
}

/* As rig_time_text(), without digits that say nothing. */
static char *
axis_text(double ns, char *out, size_t cap)
{
	double by = ns >= 0.99e9 ? 1e9 : ns >= 0.99e6 ? 1e6 : ns >= 0.99e3 ? 1e3 : 1;
	const char *unit = by >= 1e9 ? "s" : by >= 1e6 ? "ms" : by >= 1e3 ? "µs" : "ns";

	snprintf(out, cap, "%.3g %s", ns / by, unit);
	return out;
}

/* Steps of a decade that leave at least two lines and not more than a dozen. */
static const double *
steps_of(const struct axis *a, size_t *out_count)
{
	static const double decades[] = {1};
	static const double coarse[] = {1, 2, 5};
	static const double fine[] = {1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9};
	double width = a->high - a->low;

	*out_count = width > 3 ? 1 : width > 0.8 ? 3 : sizeof(fine) / sizeof(fine[0]);
	return width > 3 ? decades : width > 0.8 ? coarse : fine;
}

static void
write_grid(FILE *out, const struct axis *a, double height)
{
	size_t count = 0;
	const double *steps = steps_of(a, &count);
	char text[32];

	for (int e = (int)floor(a->low); e <= (int)ceil(a->high); e++) {
		for (size_t i = 0; i < count; i++) {
			double ns = steps[i] * pow(10, e);
			if (log10(ns) < a->low || log10(ns) > a->high)
				continue;
			double x = x_of(a, ns);
			fprintf(out,
				"<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" "
				"y2=\"%.1f\"/>"
				"<text class=\"tick\" x=\"%.1f\" y=\"12\">%s</text>\n",
				x, x, TOP - 5, height, x, axis_text(ns, text, sizeof(text)));
		}
	}
}

/* Contenders get colours in the order in which they first appear. */
static unsigned
colour_of(const struct rig_result *r, size_t at)
{
	unsigned colour = 0;

	for (size_t i = 0; i < at; i++) {
		bool seen = false;
		if (strcmp(r[i].contender, r[at].contender) == 0)
			return colour_of(r, i);
		for (size_t k = 0; k < i && !seen; k++)
			seen = strcmp(r[k].contender, r[i].contender) == 0;
		colour += seen ? 0 : 1;
	}
	return colour % 8;
}

static void
write_title(FILE *out, const struct rig_result *r)
{
	char t[6][32];

	fputs("<title>", out);
	rig_text_write(out, r->label);
	fputs(", ", out);
	rig_text_write(out, r->contender);
	fprintf(out, ": best %s, median %s, middle half %s to %s, p99 %s, max %s",
		rig_time_text(r->best, t[0], 32), rig_time_text(r->median, t[1], 32),
		rig_time_text(r->q1, t[2], 32), rig_time_text(r->q3, t[3], 32),
		rig_time_text(r->p99, t[4], 32), rig_time_text(r->max, t[5], 32));
	if (r->bytes_per_op > 0 && isfinite(r->best_gb_per_s))
		fprintf(out, ", %.3g GB/s at best", r->best_gb_per_s);
	fputs("</title>", out);
}

/* A line from one time to another; nothing if one of them is missing. */
static void
write_span(FILE *out, const struct axis *a, const char *class, double from, double to, double y)
{
	if (isfinite(from) && isfinite(to) && from > 0 && to >= from)
		fprintf(out, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
			class, x_of(a, from), x_of(a, to), y, y);
}

static void
write_row(FILE *out, const struct axis *a, const struct rig_result *r, unsigned colour, double y,
	bool first)
{
	char t[32];

	fprintf(out, "<g class=\"row c%u\">", colour);
	write_title(out, r);
	fprintf(out, "<rect class=\"hit\" x=\"0\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\"/>",
		y - ROW / 2, WIDTH, ROW);
	if (first) {
		fprintf(out, "<text class=\"label\" x=\"4\" y=\"%.1f\">", y + 4);
		rig_text_write(out, r->label);
		fputs("</text>", out);
	}
	fprintf(out, "<text class=\"name\" x=\"%.0f\" y=\"%.1f\">", LEFT - 8, y + 4);
	rig_text_write(out, r->contender);
	fputs("</text>", out);
	write_span(out, a, "tail", r->best, r->p99, y);
	write_span(out, a, "half", r->q1, r->q3, y);
	if (isfinite(r->median) && r->median > 0)
		fprintf(out,
			"<line class=\"median\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
			x_of(a, r->median), x_of(a, r->median), y - 6, y + 6);
	if (isfinite(r->best) && r->best > 0)
		fprintf(out, "<circle class=\"best\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>",
			x_of(a, r->best), y);
	fprintf(out, "<text class=\"figure\" x=\"%.0f\" y=\"%.1f\">%s", WIDTH - 4, y + 4,
		rig_time_text(r->best, t, sizeof(t)));
	if (r->bytes_per_op > 0 && isfinite(r->best_gb_per_s))
		fprintf(out, " · %.3g GB/s", r->best_gb_per_s);
	fputs("</text></g>\n", out);
}

static bool
begins_label(const struct rig_result *r, size_t i)
{
	return i == 0 || strcmp(r[i].label, r[i - 1].label) != 0;
}

void
rig_plot_write(FILE *out, const struct rig_result *r, size_t count)
{
	struct axis a;
	double height = TOP + 4;

	if (!axis_of(r, count, &a))
		return;
	for (size_t i = 0; i < count; i++)
		height += ROW + (i > 0 && begins_label(r, i) ? GAP : 0);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
		"aria-label=\"",
		WIDTH, height);
	rig_text_write(out, r[0].group);
	fputs("\">\n", out);
	write_grid(out, &a, height);
	double y = TOP + ROW / 2;
	for (size_t i = 0; i < count; i++) {
		y += i > 0 && begins_label(r, i) ? GAP : 0;
		write_row(out, &a, &r[i], colour_of(r, i), y, begins_label(r, i));
		y += ROW;
	}
	fputs("</svg>\n", out);
}
