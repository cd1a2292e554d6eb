#include "html.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plot.h"

static const char HEAD[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE html>\n"
	"<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\" xml:lang=\"en\"><head>"
	"<meta charset=\"UTF-8\"/>"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	"<title>Sealock: bench report</title>\n<style>\n"
	":root{--ink:#1d2328;--soft:#5c6770;--line:#d8dde1;--page:#fff;--card:#f6f7f8;--good:#"
	"00694e;"
	"--bad:#a63603;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#b8860b;--c5:#"
	"56b4e9;"
	"--c6:#6b6f73;--c7:#8b5fbf}\n"
	"@media(prefers-color-scheme:dark){:root{--ink:#e6e9eb;--soft:#9aa5ad;--line:#3a4249;"
	"--page:#15191c;--card:#1e2428;--good:#4cc9a0;--bad:#f39c5a;--c0:#4da3dd;--c1:#f08a3c;--c2:"
	"#2cc295;"
	"--c3:#e29cc4;--c4:#e0b040;--c5:#7cc7f0;--c6:#a5abb0;--c7:#b592e0}}\n"
	"body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);"
	"max-width:1040px;margin:0 auto;padding:1.5rem 1rem 4rem}\n"
	"h1{font-size:1.7rem;margin:0}h2{font-size:1.3rem;margin:3rem 0 .3rem;"
	"border-top:1px solid var(--line);padding-top:1.5rem}h3{font-size:1rem;margin:1.6rem 0 "
	".3rem}\n"
	"p{margin:.4rem 0}.soft{color:var(--soft)}a{color:var(--c0)}\n"
	"table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;"
	"padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}\n"
	"th{font-weight:600;color:var(--soft)}td.n,th.n{text-align:right;white-space:nowrap;"
	"font-variant-numeric:tabular-nums}\n"
	".met{color:var(--good);font-weight:600}.missed{color:var(--bad);font-weight:600}\n"
	".banner{background:var(--card);border-left:4px solid var(--bad);padding:.6rem "
	"1rem;margin:1rem 0}\n"
	".scroll{overflow-x:auto}svg{width:100%;min-width:640px;height:auto;font-size:11px}"
	"svg text{fill:var(--ink)}\n"
	".tick{text-anchor:middle;fill:var(--soft)!important}.name{text-anchor:end}"
	".figure{text-anchor:end;font-variant-numeric:tabular-nums}.label{font-weight:600}\n"
	".grid{stroke:var(--line)}.hit{fill:transparent}.row:hover .hit{fill:var(--card)}\n"
	".tail{stroke-width:1.5;opacity:.55}.half{stroke-width:7;opacity:.45}.median{stroke-width:"
	"2}\n"
	".c0 line{stroke:var(--c0)}.c0 circle{fill:var(--c0)}.c1 line{stroke:var(--c1)}"
	".c1 circle{fill:var(--c1)}.c2 line{stroke:var(--c2)}.c2 circle{fill:var(--c2)}"
	".c3 line{stroke:var(--c3)}.c3 circle{fill:var(--c3)}.c4 line{stroke:var(--c4)}"
	".c4 circle{fill:var(--c4)}.c5 line{stroke:var(--c5)}.c5 circle{fill:var(--c5)}"
	".c6 line{stroke:var(--c6)}.c6 circle{fill:var(--c6)}.c7 line{stroke:var(--c7)}"
	".c7 circle{fill:var(--c7)}\n"
	"details{margin:.6rem 0}summary{cursor:pointer;color:var(--soft)}li{margin:.15rem 0}\n"
	"</style></head>\n<body>\n";

static const char METHOD[] =
	"<h2 id=\"method\">Method</h2>\n"
	"<ul><li>Contenders of one comparison run in turn on one pinned core, round by round and "
	"in rotating order, after a "
	"warm-up, so that a neighbour's burst of load hits all of them. All get the same generated "
	"bytes; where a SHA-256 "
	"stands, their outputs were compared, and a difference fails the run.</li>\n"
	"<li>The dot is the best round (of latencies: the fastest operation), the bar the middle "
	"half with the median in it, "
	"the line goes up to p99. Ratios and goals are taken between best rounds, which a shared "
	"machine disturbs least; "
	"look at the medians to see how much it did. The axis is logarithmic.</li>\n"
	"<li>Ratios within one run are good to one or two per cent; times are this machine's at "
	"that minute. The noise floor "
	"says how much of its time a thread that does nothing but look at the clock loses.</li>\n"
	"<li>A goal that is missed is shown as missed. A bench that did not run says "
	"why.</li></ul>\n";

static void
write_when(FILE *out)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[64];

	if (gmtime_r(&now, &tm) != NULL &&
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm) > 0)
		fprintf(out, "<p class=\"soft\">Written %s</p>\n", text);
}

/* A number as people read it: no exponent, four digits that count. */
static void
write_number(FILE *out, double v)
{
	if (!isfinite(v))
		fputs("–", out);
	else if (fabs(v) >= 1000)
		fprintf(out, "%.0f", v);
	else
		fprintf(out, "%.4g", v);
}

static void
write_goals(FILE *out, struct rig_bench *const *benches, size_t count)
{
	size_t met = 0, all = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < benches[i]->goal_count; k++) {
			all++;
			met += benches[i]->goals[k].met ? 1 : 0;
		}
	}
	if (all == 0)
		return;
	fprintf(out,
		"<h2 id=\"goals\">Goals: %zu of %zu met</h2>\n<div "
		"class=\"scroll\"><table><tr><th>bench</th>"
		"<th>goal</th><th class=\"n\">asked</th><th class=\"n\">seen</th><th></th></tr>\n",
		met, all);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < benches[i]->goal_count; k++) {
			const struct rig_goal *g = &benches[i]->goals[k];
			fputs("<tr><td><a href=\"#bench-", out);
			rig_text_write(out, benches[i]->name);
			fputs("\">", out);
			rig_text_write(out, benches[i]->name);
			fputs("</a></td><td>", out);
			rig_text_write(out, g->name);
			fputs("</td><td class=\"n\">", out);
			write_number(out, g->goal);
			fputs("</td><td class=\"n\">", out);
			write_number(out, g->value);
			fprintf(out, "</td><td class=\"%s\">%s</td></tr>\n",
				g->met ? "met" : "missed", g->met ? "met" : "missed");
		}
	}
	fputs("</table></div>\n", out);
}

static bool
same_machine(const struct rig_bench *a, const struct rig_bench *b)
{
	return strcmp(a->cpu, b->cpu) == 0 && strcmp(a->kernel, b->kernel) == 0 &&
		a->cores == b->cores && strcmp(a->commit, b->commit) == 0;
}

/* One line per machine and version that is met first here. */
static void
write_machines(FILE *out, struct rig_bench *const *benches, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rig_bench *b = benches[i];
		bool seen = b->failed != NULL;
		for (size_t k = 0; k < i && !seen; k++)
			seen = benches[k]->failed == NULL && same_machine(benches[k], b);
		if (seen)
			continue;
		fputs("<p><b>", out);
		rig_text_write(out, b->cpu);
		fprintf(out, "</b>, %llu cores, ", (unsigned long long)b->cores);
		rig_text_write(out, b->kernel);
		fputs(", Sealock ", out);
		rig_text_write(out, b->commit);
		fputs("</p>\n", out);
	}
}

static void
write_banners(FILE *out, struct rig_bench *const *benches, size_t count)
{
	bool quick = false;

	for (size_t i = 0; i < count; i++)
		quick = quick || (benches[i]->failed == NULL && benches[i]->quick);
	if (quick)
		fputs("<p class=\"banner\">Some of this was run with <code>--quick</code>: tiny "
		      "inputs, only to see that it "
		      "works. Such figures mean nothing.</p>\n",
			out);
	for (size_t i = 0; i < count; i++) {
		if (benches[i]->failed == NULL)
			continue;
		fputs("<p class=\"banner\"><b>", out);
		rig_text_write(out, benches[i]->name);
		fputs("</b> has no figures: ", out);
		rig_text_write(out, benches[i]->failed);
		fputs("</p>\n", out);
	}
}

static void
write_conditions(FILE *out, const struct rig_bench *b)
{
	fprintf(out, "<p class=\"soft\">core %llu, load %.2f before, TSC %.3f GHz",
		(unsigned long long)b->core, b->load, b->tsc_ghz);
	if (b->when[0] != '\0') {
		fputs(", ", out);
		rig_text_write(out, b->when);
	}
	for (size_t i = 0; i < b->library_count; i++) {
		fputs(i == 0 ? "; " : ", ", out);
		rig_text_write(out, b->libraries[i].name);
		fputs(" ", out);
		rig_text_write(out, b->libraries[i].version);
	}
	fputs(b->quick ? "; <b>quick: its figures mean nothing</b></p>\n" : "</p>\n", out);
}

static void
write_notes(FILE *out, const struct rig_bench *b)
{
	if (b->note_count == 0)
		return;
	fputs("<ul>", out);
	for (size_t i = 0; i < b->note_count; i++) {
		fputs("<li>", out);
		rig_text_write(out, b->notes[i]);
		fputs("</li>\n", out);
	}
	fputs("</ul>\n", out);
}

static void
write_time_cell(FILE *out, double ns)
{
	char text[32];

	fprintf(out, "<td class=\"n\">%s</td>", rig_time_text(ns, text, sizeof(text)));
}

static void
write_table(FILE *out, const struct rig_bench *b)
{
	fputs("<details><summary>All figures</summary><div "
	      "class=\"scroll\"><table><tr><th>group</th><th></th>"
	      "<th>contender</th><th class=\"n\">rounds</th><th class=\"n\">best</th><th "
	      "class=\"n\">q1</th>"
	      "<th class=\"n\">median</th><th class=\"n\">q3</th><th class=\"n\">p99</th><th "
	      "class=\"n\">p99.9</th>"
	      "<th class=\"n\">max</th><th class=\"n\">GB/s</th><th>SHA-256</th></tr>\n",
		out);
	for (size_t i = 0; i < b->result_count; i++) {
		const struct rig_result *r = &b->results[i];
		fputs("<tr><td>", out);
		rig_text_write(out, r->group);
		fputs("</td><td>", out);
		rig_text_write(out, r->label);
		fputs("</td><td>", out);
		rig_text_write(out, r->contender);
		fprintf(out, "</td><td class=\"n\">%llu</td>", (unsigned long long)r->rounds);
		write_time_cell(out, r->best);
		write_time_cell(out, r->q1);
		write_time_cell(out, r->median);
		write_time_cell(out, r->q3);
		write_time_cell(out, r->p99);
		write_time_cell(out, r->p999);
		write_time_cell(out, r->max);
		fputs("<td class=\"n\">", out);
		write_number(out, r->bytes_per_op > 0 ? r->best_gb_per_s : NAN);
		fprintf(out, "</td><td>%.12s</td></tr>\n", r->sha256 != NULL ? r->sha256 : "");
	}
	fputs("</table></div></details>\n", out);
}

/* Results of one group lie beside one another. */
static void
write_plots(FILE *out, const struct rig_bench *b)
{
	size_t end = 0;

	for (size_t i = 0; i < b->result_count; i = end) {
		for (end = i + 1; end < b->result_count; end++) {
			if (strcmp(b->results[end].group, b->results[i].group) != 0)
				break;
		}
		fputs("<h3>", out);
		rig_text_write(out, b->results[i].group);
		fputs("</h3>\n<div class=\"scroll\">", out);
		rig_plot_write(out, &b->results[i], end - i);
		fputs("</div>\n", out);
	}
}

static void
write_bench(FILE *out, const struct rig_bench *b, const char *about)
{
	fputs("<h2 id=\"bench-", out);
	rig_text_write(out, b->name);
	fputs("\">", out);
	rig_text_write(out, b->name);
	fputs("</h2>\n<p>", out);
	rig_text_write(out, about);
	fputs("</p>\n", out);
	if (b->failed != NULL) {
		fputs("<p class=\"banner\">No figures: ", out);
		rig_text_write(out, b->failed);
		fputs("</p>\n", out);
		return;
	}
	write_conditions(out, b);
	write_notes(out, b);
	write_plots(out, b);
	write_table(out, b);
}

static void
write_page(FILE *out, struct rig_bench *const *benches, const char *const *abouts, size_t count)
{
	fputs(HEAD, out);
	fputs("<h1>Sealock: bench report</h1>\n", out);
	write_when(out);
	write_machines(out, benches, count);
	write_banners(out, benches, count);
	write_goals(out, benches, count);
	for (size_t i = 0; i < count; i++)
		write_bench(out, benches[i], abouts[i]);
	fputs(METHOD, out);
	fputs("</body></html>\n", out);
}

int
rig_report_write(const char *path, struct rig_bench *const *benches, const char *const *abouts,
	size_t count, struct slk_error *err)
{
	char part[4096];
	int len = snprintf(part, sizeof(part), "%s.part", path);

	if (len < 0 || len >= (int)sizeof(part))
		return slk_fail(err, SLK_TOO_LARGE, "the report's name is too long");
	FILE *out = fopen(part, "we");
	if (out == NULL)
		return slk_fail_errno(err, "cannot write %s", part);
	write_page(out, benches, abouts, count);
	bool failed = ferror(out) != 0;
	if (fclose(out) != 0)
		failed = true;
	if (failed || rename(part, path) != 0) {
		int rc = slk_fail_errno(err, "cannot write %s", path);
		(void)unlink(part);
		return rc;
	}
	return SLK_OK;
}
