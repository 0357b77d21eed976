// SPDX-License-Identifier: Apache-2.0
#include "src/dataset/reuters.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/grown.h"
#include "src/dataset/reuters_parts.h"

static const size_t most_bytes = (size_t)1 << 30; /* of a file */

enum side { POOL, TEST, NEITHER };

struct document {
	int64_t id;
	enum side side;
	const char *text;
	size_t *topic; /* indexes into corpus.topic */
	size_t topics;
};

struct topic {
	const char *name;
	size_t documents[2]; /* of the pool and of the test set, among those that count for the set asked for */
};

struct corpus {
	struct document *document;
	size_t n, room;
	struct topic *topic;
	size_t topics, topic_room;
	struct arena arena;
	const char *path; /* of the file being read */
};

/* ---- documents ---------------------------------------------------------------------------------- */

static int topic_index(size_t *index, struct corpus *corpus, struct span name, struct err *err)
{
	for (*index = 0; *index < corpus->topics; (*index)++)
		if (sgml_is(name, corpus->topic[*index].name))
			return 0;
	if (mem_grow(&corpus->topic, &corpus->topic_room, corpus->topics + 1, sizeof *corpus->topic, err))
		return -1;
	char *copy = arena_strndup(&corpus->arena, name.text, name.n, err);
	if (!copy)
		return -1;
	corpus->topic[corpus->topics++] = (struct topic){.name = copy};
	return 0;
}

static int read_topics(struct document *document, struct corpus *corpus, struct span list, struct err *err)
{
	size_t n = 0;
	for (struct span at = sgml_find(list, "<D>"); at.text;
	     at = sgml_find((struct span){at.text + 3, at.n - 3}, "<D>"))
		n++;
	document->topic = arena_array(&corpus->arena, n, sizeof *document->topic, err);
	if (!document->topic)
		return -1;
	for (struct span at = sgml_find(list, "<D>"); at.text;
	     at = sgml_find((struct span){at.text + 3, at.n - 3}, "<D>")) {
		struct span name = sgml_element(at, "D");
		if (!name.n || memchr(name.text, '<', name.n))
			return err_set(err, ERR_DATA, "a topic of document %lld has no name or no end",
				       (long long)document->id);
		if (topic_index(&document->topic[document->topics++], corpus, name, err))
			return -1;
	}
	return 0;
}

/* ModApte. */
static enum side side_of(struct span tag)
{
	struct span split = sgml_attribute(tag, "LEWISSPLIT");
	if (!sgml_is(sgml_attribute(tag, "TOPICS"), "YES"))
		return NEITHER;
	return sgml_is(split, "TRAIN") ? POOL : sgml_is(split, "TEST") ? TEST : NEITHER;
}

static int read_id(int64_t *id, struct span tag, struct err *err)
{
	struct span text = sgml_attribute(tag, "NEWID");
	*id = 0;
	for (size_t i = 0; i < text.n && text.n <= 9 && isdigit((unsigned char)text.text[i]); i++)
		*id = *id * 10 + (text.text[i] - '0');
	return *id > 0 ? 0 : err_set(err, ERR_DATA, "a document without a number NEWID");
}

/* tag: from "<REUTERS" to its ">"; content: what follows, up to "</REUTERS>". */
static int read_document(struct corpus *corpus, struct span tag, struct span content, struct err *err)
{
	struct document document = {.side = side_of(tag)};
	struct span topics = sgml_element(content, "TOPICS"), text = sgml_element(content, "TEXT");
	if (read_id(&document.id, tag, err))
		return -1;
	if (!topics.text || !text.text)
		return err_set(err, ERR_DATA, "document %lld lacks a whole <TOPICS> or <TEXT>", (long long)document.id);
	if (mem_grow(&corpus->document, &corpus->room, corpus->n + 1, sizeof *corpus->document, err))
		return -1;
	if (document.side != NEITHER) {
		char *line = read_topics(&document, corpus, topics, err) ? NULL : sgml_text(text, err);
		document.text = line ? arena_strdup(&corpus->arena, line, err) : NULL;
		free(line);
		if (!document.text)
			return -1;
	}
	corpus->document[corpus->n++] = document;
	return 0;
}

static size_t line_of(struct span file, const char *at)
{
	size_t line = 1;
	for (const char *c = file.text; c < at; c++)
		line += *c == '\n';
	return line;
}

static int read_documents(struct corpus *corpus, struct span file, struct err *err)
{
	static const char close[] = "</REUTERS>";
	struct span at = sgml_find(file, "<REUTERS ");
	while (at.text) {
		struct span tag_end = sgml_find(at, ">"), end = sgml_find(tag_end, close);
		struct span content = {tag_end.text, end.text ? (size_t)(end.text - tag_end.text) : tag_end.n};
		bool whole = end.text && !sgml_find(content, "<REUTERS ").text;
		int rc = whole ? 0 : err_set(err, ERR_DATA, "a document without its end '%s'", close);
		if (!rc)
			rc = read_document(corpus, (struct span){at.text, (size_t)(tag_end.text - at.text)}, content,
					   err);
		if (rc)
			return err_prefix(err, "%s:%zu", corpus->path, line_of(file, at.text));
		at = sgml_find(end, "<REUTERS ");
	}
	return 0;
}

static int read_file(struct corpus *corpus, const char *directory, int number, struct err *err)
{
	size_t n, before = corpus->n;
	char *path = grown_format(err, "%s/reut2-%03d.sgm", directory, number);
	char *text = path ? file_read(path, most_bytes, &n, err) : NULL;
	corpus->path = path;
	int rc = text ? read_documents(corpus, (struct span){text, n}, err) : -1;
	if (!rc && corpus->n == before)
		rc = err_set(err, ERR_DATA, "%s: no document '<REUTERS ...>'; give the folder of the original files",
			     path);
	free(path);
	free(text);
	return rc;
}

/* ---- sets ------------------------------------------------------------------------------------------ */

static bool counts_for(const struct document *document, enum reuters_set set)
{
	return document->side != NEITHER && (set == REUTERS_R90 || document->topics == 1);
}

static bool is_shared(const struct topic *topic)
{
	return topic->documents[POOL] && topic->documents[TEST];
}

/* How often the document has listed this topic already. */
static size_t times_before(const struct document *document, size_t t)
{
	size_t times = 0;
	for (size_t i = 0; i < t; i++)
		times += document->topic[i] == document->topic[t];
	return times;
}

static int add_row(struct examples *to, const struct document *document, size_t t, const char *topic,
		   enum reuters_set set, struct err *err)
{
	char id[128];
	size_t times = times_before(document, t);
	struct example row = {
		.id = {.is_number = true, .number = document->id}, .input = document->text, .label = topic};
	if (set == REUTERS_R90) {
		int n = snprintf(id, sizeof id, "%lld/%.64s", (long long)document->id, topic);
		if (times)
			snprintf(id + n, sizeof id - (size_t)n, "/%zu", times + 1);
		row.id = (struct ifd_id){.text = id};
	}
	return examples_add(to, &row, topic, err);
}

static int fill(struct examples *sets[2], struct corpus *corpus, enum reuters_set set, struct err *err)
{
	for (size_t i = 0; i < corpus->n; i++) {
		const struct document *document = &corpus->document[i];
		for (size_t t = 0; t < document->topics && counts_for(document, set); t++) {
			const struct topic *topic = &corpus->topic[document->topic[t]];
			if (is_shared(topic) && add_row(sets[document->side], document, t, topic->name, set, err))
				return -1;
		}
	}
	return examples_group(sets[POOL], err) || examples_group(sets[TEST], err) ? -1 : 0;
}

static void count_topics(struct corpus *corpus, enum reuters_set set)
{
	for (size_t i = 0; i < corpus->n; i++) {
		const struct document *document = &corpus->document[i];
		for (size_t t = 0; t < document->topics && counts_for(document, set); t++)
			corpus->topic[document->topic[t]].documents[document->side]++;
	}
}

int reuters_load(struct examples *pool, struct examples *test, enum reuters_set set, const char *directory,
		 struct err *err)
{
	struct corpus corpus = {0};
	int rc = 0;
	arena_init(&corpus.arena);
	examples_init(pool);
	examples_init(test);
	for (int number = 0; !rc && number < REUTERS_FILES; number++)
		rc = read_file(&corpus, directory, number, err);
	count_topics(&corpus, set);
	if (!rc)
		rc = fill((struct examples *[2]){pool, test}, &corpus, set, err);
	free(corpus.document);
	free(corpus.topic);
	arena_release(&corpus.arena);
	return rc;
}
