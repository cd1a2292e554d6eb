/* Directory entries of the simulated disk, and when they are durable. */
#include <stdlib.h>
#include <string.h>

#include "simdisk_internal.h"

struct entry *
simdisk_find(const struct names *n, const char *path)
{
	for (size_t i = 0; i < n->count; i++) {
		if (strcmp(n->entries[i].path, path) == 0)
			return &n->entries[i];
	}
	return NULL;
}

static void
put_name(struct names *n, const char *path, struct inode *inode, bool dir)
{
	struct entry *e = simdisk_find(n, path);

	if (e == NULL) {
		if (n->count == n->cap) {
			n->cap = n->cap == 0 ? 16 : 2 * n->cap;
			n->entries =
				simdisk_must(realloc(n->entries, n->cap * sizeof(*n->entries)));
		}
		e = &n->entries[n->count++];
		e->path = simdisk_must(strdup(path));
	}
	e->inode = inode;
	e->dir = dir;
}

static void
drop_name(struct names *n, const char *path)
{
	struct entry *e = simdisk_find(n, path);

	if (e == NULL)
		return;
	free(e->path);
	*e = n->entries[--n->count];
}

static void
free_names(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->entries[i].path);
	free(n->entries);
	*n = (struct names){0};
}

static void
apply_op(struct names *n, const struct name_op *op)
{
	if (op->from != NULL)
		drop_name(n, op->from);
	if (op->to != NULL)
		put_name(n, op->to, op->inode, op->dir);
}

void
simdisk_name_op(struct simdisk *d, const char *from, const char *to, struct inode *inode, bool dir)
{
	if (d->op_count == d->op_cap) {
		d->op_cap = d->op_cap == 0 ? 16 : 2 * d->op_cap;
		d->ops = simdisk_must(realloc(d->ops, d->op_cap * sizeof(*d->ops)));
	}
	struct name_op *op = &d->ops[d->op_count++];
	*op = (struct name_op){.inode = inode, .dir = dir};
	op->from = from != NULL ? simdisk_must(strdup(from)) : NULL;
	op->to = to != NULL ? simdisk_must(strdup(to)) : NULL;
	apply_op(&d->now, op);
}

/* Make the first count changes durable and forget the rest. */
void
simdisk_settle_names(struct simdisk *d, size_t count)
{
	for (size_t i = 0; i < d->op_count; i++) {
		if (i < count)
			apply_op(&d->durable, &d->ops[i]);
		free(d->ops[i].from);
		free(d->ops[i].to);
	}
	d->op_count = 0;
}

void
simdisk_cut_names(struct simdisk *d)
{
	simdisk_settle_names(d, d->op_count > 0 ? simdisk_random(d) % (d->op_count + 1) : 0);
	free_names(&d->now);
	for (size_t i = 0; i < d->durable.count; i++)
		put_name(&d->now, d->durable.entries[i].path, d->durable.entries[i].inode,
			d->durable.entries[i].dir);
}

void
simdisk_free_names(struct simdisk *d)
{
	simdisk_settle_names(d, 0);
	free(d->ops);
	free_names(&d->now);
	free_names(&d->durable);
}
