#include "shapes.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

void
cli_shape_line(struct cli_out *out, const char *label, const char *value)
{
	char head[32];

	snprintf(head, sizeof(head), "%s%s", label, label[0] != '\0' ? ":" : "");
	cli_out_printf(out, "%-14s", head);
	cli_out_safe(out, slk_span_str(value));
	cli_out_text(out, "\n");
}

/* A cell of a table, padded to width; at least one blank follows. */
static void
cell(struct cli_out *out, const char *value, int width)
{
	int len = (int)strlen(value);

	cli_out_safe(out, slk_span_str(value));
	cli_out_printf(out, "%*s", len < width ? width - len + 1 : 1, "");
}

/* "alias/a, alias/b", cut with "..." where it gets too long; "-" for none. */
static void
alias_text(const struct kmsc_key *key, const struct kmsc_alias *aliases, size_t alias_count,
	char *out, size_t cap)
{
	size_t len = 0;

	snprintf(out, cap, "-");
	for (size_t i = 0; i < alias_count; i++) {
		if (strcmp(aliases[i].key_id, key->id) != 0)
			continue;
		if (len + strlen(aliases[i].name) + 8 > cap) {
			snprintf(out + len, cap - len, " ...");
			return;
		}
		len += (size_t)snprintf(
			out + len, cap - len, "%s%s", len > 0 ? ", " : "", aliases[i].name);
	}
}

void
cli_shape_key(yajl_gen json, const struct kmsc_key *key, const struct kmsc_alias *aliases,
	size_t alias_count)
{
	cli_json_map(json);
	cli_json_str(json, "id", key->id);
	cli_json_str(json, "arn", key->arn);
	cli_json_key(json, "aliases");
	cli_json_array(json);
	for (size_t i = 0; i < alias_count; i++)
		if (strcmp(aliases[i].key_id, key->id) == 0)
			cli_json_text(json, aliases[i].name);
	cli_json_array_end(json);
	cli_json_str(json, "description", key->description);
	cli_json_str(json, "state", key->state);
	cli_json_str(json, "spec", key->spec);
	cli_json_str(json, "usage", key->usage);
	cli_json_str(json, "manager", key->manager);
	cli_json_key(json, "algorithms");
	cli_json_array(json);
	for (size_t i = 0; i < key->algorithms_count; i++)
		cli_json_text(json, key->algorithms[i]);
	cli_json_array_end(json);
	cli_json_bool(json, "approved_algorithms", key->approved_algorithms);
	cli_json_bool(json, "validated_module", key->validated_module);
	cli_json_str(json, "material_id", key->material_id);
	cli_json_str(json, "backing_id", key->backing_id);
	cli_json_u64(json, "streams", key->streams_count);
	cli_json_time(json, "created", key->created_ns);
	cli_json_time(json, "deletion", key->deletion_ns);
	cli_json_map_end(json);
}

void
cli_shape_key_row(struct cli_out *out, const struct kmsc_key *key, const struct kmsc_alias *aliases,
	size_t alias_count, bool with_title)
{
	char names[1024];
	char created[CLI_TIME_MAX];

	if (with_title)
		cli_out_printf(out, "%-36s  %-16s %-10s %-21s %s\n", "KEY", "STATE", "MANAGER",
			"CREATED", "ALIASES");
	alias_text(key, aliases, alias_count, names, sizeof(names));
	cli_time_second(key->created_ns, created);
	cell(out, key->id, 37);
	cell(out, key->state, 16);
	cell(out, key->manager, 10);
	cell(out, created, 21);
	cli_out_safe(out, slk_span_str(names));
	cli_out_text(out, "\n");
}

static void
deletion_line(struct cli_out *out, const struct kmsc_key *key)
{
	char when[CLI_TIME_MAX], line[CLI_TIME_MAX + 16];

	if (key->deletion_ns == 0)
		return;
	cli_time_second(key->deletion_ns, when);
	snprintf(line, sizeof(line), "at %s or later", when);
	cli_shape_line(out, "destroyed", line);
}

void
cli_shape_key_text(struct cli_out *out, const struct kmsc_key *key,
	const struct kmsc_alias *aliases, size_t alias_count)
{
	char names[1024], streams[24];
	char created[CLI_TIME_MAX];

	alias_text(key, aliases, alias_count, names, sizeof(names));
	cli_time_second(key->created_ns, created);
	snprintf(streams, sizeof(streams), "%llu", (unsigned long long)key->streams_count);
	cli_shape_line(out, "key", key->id);
	cli_shape_line(out, "arn", key->arn);
	cli_shape_line(out, "aliases", names);
	cli_shape_line(out, "description", key->description[0] != '\0' ? key->description : "-");
	cli_shape_line(out, "state", key->state);
	cli_shape_line(out, "use", key->usage);
	cli_shape_line(out, "spec", key->spec);
	for (size_t i = 0; i < key->algorithms_count; i++)
		cli_shape_line(out, i == 0 ? "algorithms" : "", key->algorithms[i]);
	cli_shape_line(out, "approved",
		key->approved_algorithms ? "all its algorithms" : "not all its algorithms");
	cli_shape_line(out, "module",
		key->validated_module
			? "validated, by the word of kmsd's configuration (hsm.certificate)"
			: "not validated");
	cli_shape_line(out, "manager", key->manager);
	cli_shape_line(out, "material", key->backing_id);
	cli_shape_line(out, "streams", streams);
	cli_shape_line(out, "created", created);
	deletion_line(out, key);
}

void
cli_shape_deletion(yajl_gen json, const struct kmsc_key *key)
{
	cli_json_map(json);
	cli_json_str(json, "id", key->id);
	cli_json_str(json, "arn", key->arn);
	cli_json_str(json, "state", key->state);
	cli_json_time(json, "deletion", key->deletion_ns);
	cli_json_u64(json, "streams", key->streams_count);
	cli_json_map_end(json);
}

void
cli_shape_deletion_text(struct cli_out *out, const struct kmsc_key *key)
{
	cli_shape_line(out, "key", key->id);
	cli_shape_line(out, "state", key->state);
	deletion_line(out, key);
}

void
cli_shape_alias(yajl_gen json, const struct kmsc_alias *alias)
{
	cli_json_map(json);
	cli_json_str(json, "name", alias->name);
	cli_json_str(json, "arn", alias->arn);
	cli_json_str(json, "key_id", alias->key_id);
	cli_json_map_end(json);
}

void
cli_shape_alias_row(struct cli_out *out, const struct kmsc_alias *alias, bool with_title)
{
	if (with_title)
		cli_out_printf(out, "%-36s  %s\n", "KEY", "ALIAS");
	cell(out, alias->key_id, 37);
	cli_out_safe(out, slk_span_str(alias->name));
	cli_out_text(out, "\n");
}

void
cli_shape_stream(yajl_gen json, const struct kmsc_stream *stream)
{
	cli_json_map(json);
	cli_json_str(json, "name", stream->name);
	cli_json_str(json, "arn", stream->arn);
	cli_json_u64(json, "id", stream->id);
	cli_json_u64(json, "shards", stream->shard_count);
	cli_json_str(json, "status", stream->status);
	cli_json_str(json, "encryption", stream->encrypted_kms ? "KMS" : "NONE");
	cli_json_str(json, "key_arn", stream->key_arn);
	cli_json_str(json, "key_name", stream->key_name);
	cli_json_u64(json, "retention_hours", stream->retention_hours);
	cli_json_str(json, "mode", stream->mode);
	cli_json_time(json, "created", stream->created_ns);
	cli_json_map_end(json);
}

void
cli_shape_stream_row(struct cli_out *out, const struct kmsc_stream *stream, bool with_title)
{
	char shards[16];
	char created[CLI_TIME_MAX];

	if (with_title)
		cli_out_printf(out, "%-24s %-9s %-7s %-11s %-21s %s\n", "STREAM", "STATUS",
			"SHARDS", "ENCRYPTION", "CREATED", "KEY");
	snprintf(shards, sizeof(shards), "%u", stream->shard_count);
	cli_time_second(stream->created_ns, created);
	cell(out, stream->name, 24);
	cell(out, stream->status, 9);
	cell(out, shards, 7);
	cell(out, stream->encrypted_kms ? "KMS" : "NONE", 11);
	cell(out, created, 21);
	cli_out_safe(out, slk_span_str(stream->key_arn));
	cli_out_text(out, "\n");
}

void
cli_shape_stream_text(struct cli_out *out, const struct kmsc_stream *stream)
{
	char number[24];
	char created[CLI_TIME_MAX];

	cli_time_second(stream->created_ns, created);
	cli_shape_line(out, "stream", stream->name);
	cli_shape_line(out, "arn", stream->arn);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)stream->id);
	cli_shape_line(out, "id", number);
	snprintf(number, sizeof(number), "%u", stream->shard_count);
	cli_shape_line(out, "shards", number);
	cli_shape_line(out, "status", stream->status);
	cli_shape_line(out, "encryption",
		stream->encrypted_kms ? "KMS" : "NONE (sealed under the appliance's own key)");
	cli_shape_line(out, "key", stream->key_arn);
	snprintf(number, sizeof(number), "%u hours", stream->retention_hours);
	cli_shape_line(out, "retention", number);
	cli_shape_line(out, "mode", stream->mode);
	cli_shape_line(out, "created", created);
}

void
cli_shape_policy(yajl_gen json, const char *kind, const size_t *statements,
	const struct pol_problem *problem)
{
	cli_json_map(json);
	cli_json_bool(json, "valid", problem == NULL);
	cli_json_str(json, "kind", kind);
	if (problem == NULL) {
		cli_json_u64(json, "statements", *statements);
	} else {
		cli_json_u64(json, "line", problem->line);
		cli_json_u64(json, "column", problem->column);
		cli_json_str(json, "reason", problem->text);
	}
	cli_json_map_end(json);
}

void
cli_shape_valid_policy(struct cli_out *out, const char *kind, size_t statements)
{
	char count[24];

	snprintf(count, sizeof(count), "%zu", statements);
	cli_shape_line(out, "policy", "valid");
	cli_shape_line(out, "kind", kind);
	cli_shape_line(out, "statements", count);
}
