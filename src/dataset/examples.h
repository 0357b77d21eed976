// SPDX-License-Identifier: Apache-2.0
/*
 * examples.h - the examples of a dataset, and the domains they are grouped in.
 *
 *     struct examples pool, test;
 *     if (examples_load(&pool, "train.jsonl", ANSWER_CLASS, NULL, &err))
 *             return -1;
 *     if (examples_drop_duplicates(&pool, &dropped, &err) || examples_split(&test, &pool, 0.2, seed, &err))
 *             …
 *     examples_head_above(&pool, 50);
 *     for (size_t d = 0; d < pool.l; d++)
 *             … pool.domain[d].name, pool.domain[d].n, pool.domain[d].head …
 *     examples_release(&test);                 // before the pool, whose texts it borrows
 *     examples_release(&pool);
 *
 * A row is a JSON object with an input and a label, both texts (a label may be
 * a number), and a domain; for classification the domain is the label, a
 * domain that says otherwise is refused. The keys may be named; the usual ones
 * are found by themselves:
 *
 *     input    input, text             domain   domain, source
 *     label    label, answer, gt_choice    choices  choices (a list of texts)
 *
 * Rows keep their order in the file; domains are sorted by their number of
 * rows, largest first, then by name in byte order, and stay so after every
 * function below. Whatever is drawn depends on the seed and on the ids of the
 * rows, not on their order.
 *
 * Failures: ERR_DATA with "FILE:LINE: rule", ERR_CONFIG for an option that
 * cannot be followed, those of rows_load, ERR_MEMORY.
 */
#ifndef BALDISTILL_DATASET_EXAMPLES_H
#define BALDISTILL_DATASET_EXAMPLES_H

#include "reference/ifd.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/dataset/answer.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EXAMPLES_DOMAINS = 10000 }; /* at most: each is a class of a prompt, or a row of a report */

/* Keys of a row; NULL: the usual ones. */
struct example_fields {
	const char *id, *input, *label, *domain, *choices;
};

struct example {
	struct ifd_id id;
	size_t line; /* in its file; 0 where it came from none */
	const char *input, *label;
	const char *const *choices; /* multiple choice */
	size_t n_choices;
	size_t domain; /* index into examples.domain */
};

struct example_domain {
	const char *name;
	size_t n; /* rows */
	bool head;
};

struct examples {
	struct example *row;
	size_t n, room;
	struct example_domain *domain;
	size_t l, domain_room;
	struct arena arena; /* all texts */
	const char *path;   /* borrowed */
};

/* fields may be NULL. A file without a row is refused. */
int examples_load(struct examples *examples, const char *path, enum answer_type type,
		  const struct example_fields *fields, struct err *err);
void examples_release(struct examples *examples);

/*
 * By hand: an empty set, then rows, then examples_group. example->domain is
 * not read; all texts are copied.
 */
void examples_init(struct examples *examples);
int examples_add(struct examples *examples, const struct example *example, const char *domain, struct err *err);
int examples_group(struct examples *examples, struct err *err);

/*
 * All rows as JSON Lines, keys id, input, choices where there are some, label, domain; with the failures of file.h,
 * after which the caller aborts the file.
 */
int examples_write(const struct examples *examples, struct file_writer *writer, struct err *err);

/* Index of a domain, or examples->l. */
size_t examples_find_domain(const struct examples *examples, const char *name);

/* Remove every row whose input, label and choices equal those of one before it, or only count them. */
int examples_drop_duplicates(struct examples *examples, size_t *dropped, struct err *err);
int examples_count_duplicates(const struct examples *examples, size_t *duplicates, struct err *err);

/* Fail unless every row has an id of its own, as examples_load sees to. */
int examples_expect_ids(const struct examples *examples, struct err *err);

/* Fail unless the n names are exactly the domains that have rows. */
int examples_expect_domains(const struct examples *examples, const char *const *names, size_t n, struct err *err);

/* Which domains are the head: those of more than `above` rows, or those named (each must be one). */
void examples_head_above(struct examples *examples, size_t above);
int examples_head_named(struct examples *examples, const char *const *names, size_t n, struct err *err);
int examples_head_listed(struct examples *examples, const char *list, struct err *err); /* "NAME,..."; "\\," in a name */

/*
 * Move round(fraction * n_d) rows of each domain, drawn with the seed, into
 * *test, at least one staying behind. 0 < fraction < 1. *test borrows the
 * texts of *examples and has its own domains.
 */
int examples_split(struct examples *test, struct examples *examples, double fraction, uint64_t seed, struct err *err);

/*
 * Long-tail down-sampling: of the domain at rank j, from 1, keep
 *     n_j = min(n_j, max(1, round(n_1 * j^-alpha)))
 * rows, drawn with the seed. alpha > 0.
 */
int examples_zipf(struct examples *examples, double alpha, uint64_t seed, struct err *err);

/* Keep n rows of all, drawn with the seed, each as likely as another; all of them where there are no more. */
int examples_draw(struct examples *examples, size_t n, uint64_t seed, struct err *err);

/*
 * Of the domains named in "NAME=SHARE,..." keep round(SHARE * n_d) rows, one at
 * least, drawn with the seed; SHARE is a number or a fraction: "Race=1/3".
 */
int examples_keep(struct examples *examples, const char *shares, uint64_t seed, struct err *err);

/* A row of a pool whose input is that of a test row, or shares half of the test row's runs of words (copies.h). */
struct example_pair {
	size_t pool, test; /* indexes of rows */
	bool equal;
	double share;
};

/* All such pairs by test row, then pool row; released with free(). */
int examples_near(struct example_pair **pair, size_t *n, const struct examples *pool, const struct examples *test,
		  struct err *err);

/* Remove the rows for which drop[] is true. */
int examples_remove(struct examples *examples, const bool *drop, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
