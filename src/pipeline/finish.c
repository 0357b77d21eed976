// SPDX-License-Identifier: Apache-2.0
/* The end of a run: what its user takes home. All of it can be made again from the stages, so a kill here costs nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/jsonfile.h"
#include "src/base/tree.h"
#include "src/dataset/rows.h"
#include "src/ledger/cassette.h"
#include "src/ledger/manifest.h"
#include "src/model/export.h"
#include "src/pipeline/completions.h"
#include "src/pipeline/finetune.h"
#include "src/pipeline/report.h"

/* ---- the bought rows as a dataset (INTEROP section 1) -------------------------------------------------------------- */

static void put_message(struct json_writer *w, const char *role, const char *content)
{
	json_begin_object(w);
	json_member_text(w, "role", role);
	json_member_text(w, "content", content);
	json_end_object(w);
}

static int put_row(struct json_writer *w, const struct rows *rows, size_t i, const char *model, struct err *err)
{
	static const char *const kept[] = {"domain", "stage", "origin"};
	struct json_value root = json_root(rows->row[i].doc);
	const char *prompt, *completion;
	if (json_get_string(json_in(root, "prompt"), &prompt, NULL, err) ||
	    json_get_string(json_in(root, "completion"), &completion, NULL, err))
		return row_refuse(rows, i, err);
	json_begin_object(w);
	json_put_key(w, "messages");
	json_begin_array(w);
	put_message(w, "user", prompt);
	put_message(w, "assistant", completion);
	json_end_array(w);
	json_put_key(w, "metadata");
	json_begin_object(w);
	row_put_id(w, &rows->row[i].id);
	for (size_t m = 0; m < sizeof kept / sizeof *kept; m++) {
		json_put_key(w, kept[m]);
		json_put_value(w, json_in(root, kept[m]));
	}
	json_member_text(w, "teacher", model);
	json_end_object(w);
	json_end_object(w);
	return 0;
}

static int write_rows(const struct run *run, const struct rows *rows, const char *path, struct err *err)
{
	struct file_writer writer;
	int rc = file_writer_open(&writer, path, 0666, err);
	if (rc)
		return -1;
	for (size_t i = 0; !rc && i < rows->n; i++) {
		struct json_writer w;
		json_writer_init(&w, 0);
		rc = put_row(&w, rows, i, run->source.teacher ? run->source.model : "", err);
		if (rc)
			json_writer_release(&w);
		else
			rc = json_save_row(&w, &writer, err);
	}
	if (rc)
		file_writer_abort(&writer);
	return rc ? -1 : file_writer_commit(&writer, err);
}

static const char dataset_info[] =
	"{\"baldistill\": {\"file_name\": \"train.jsonl\", \"formatting\": \"sharegpt\",\n"
	"  \"columns\": {\"messages\": \"messages\"},\n"
	"  \"tags\": {\"role_tag\": \"role\", \"content_tag\": \"content\", \"user_tag\": \"user\", \"assistant_tag\": \"assistant\"}}}\n";

static int write_dataset(const struct run *run, const char *final, struct err *err)
{
	struct rows rows = {0};
	char *directory = tree_join(final, "dataset", err), *from = run_path(run, run->stages - 1, "train.jsonl", err);
	char *to = directory ? tree_join(directory, "train.jsonl", err) : NULL;
	char *info = to ? tree_join(directory, "dataset_info.json", err) : NULL;
	int rc = !info || !from || tree_make(directory, 0777, err) || rows_load(&rows, from, err) ||
				 write_rows(run, &rows, to, err) || file_save(info, dataset_info, sizeof dataset_info - 1, 0666, err)
			 ? -1 : 0;
	rows_release(&rows);
	free(info);
	free(to);
	free(from);
	free(directory);
	return rc;
}

/* ---- models ---------------------------------------------------------------------------------------------------------- */

static int write_merged(const struct run *run, const char *final, const char *trained, struct err *err)
{
	char *directory = tree_join(final, "merged", err);
	struct student *student = directory ? completions_student(run->plan, trained, err) : NULL;
	int rc = !student || tree_make(directory, 0777, err) ||
				 export_merged(directory, run->plan->student.model_name_or_path, student->adapter, err)
			 ? -1 : 0;
	student_close(student);
	free(directory);
	return rc;
}

static int write_models(const struct run *run, const char *final, struct err *err)
{
	char *trained = run_path(run, run->stages - 1, finetune_name(run), err);
	char *copy = trained ? tree_join(final, finetune_name(run), err) : NULL;
	int rc = copy ? tree_copy(copy, trained, err) : -1;
	if (!rc && run->plan->merged && !run->plan->training.kind.full)
		rc = write_merged(run, final, trained, err);
	free(copy);
	free(trained);
	return rc;
}

/* The log of the training tells rates, which differ from run to run. */
static size_t without_logs(const char **names, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (!strstr(names[i], "trainer_log.jsonl"))
			names[kept++] = names[i];
	return kept;
}

/* Names and SHA-256 of all of final/ but logs, for this program and for whoever gets the folder. */
static int write_manifest(const char *part, struct err *err)
{
	struct arena arena;
	struct json_writer w;
	const char **names;
	size_t n;
	char *path = tree_join(part, "manifest.json", err);
	arena_init(&arena);
	json_writer_init(&w, 0);
	int rc = !path || tree_list(&names, &n, part, &arena, err) || !manifest_write(&w, part, names, without_logs(names, n), err) ? -1 : 0;
	if (!rc)
		rc = json_save(&w, path, 0666, err);
	else
		json_writer_release(&w);
	arena_release(&arena);
	free(path);
	return rc;
}

/* What is there as it was written? What is not can be made again. */
static bool is_whole(const struct run *run, const char *final)
{
	struct err why = {0};
	size_t n;
	char *path = tree_join(final, "manifest.json", &why), *text = path ? file_read(path, 1 << 20, &n, &why) : NULL;
	bool whole = text && !manifest_verify(final, text, &why);
	if (!whole)
		voice_say(run->options->voice, "final/ is not as it was written (%s); making it again", why.message);
	free(text);
	free(path);
	return whole;
}

static int make_final(const struct run *run, const char *part, const char *final, struct err *err)
{
	if (tree_remove(part, err) || tree_remove(final, err) || tree_make(part, 0777, err) || write_models(run, part, err) ||
	    write_dataset(run, part, err) || write_manifest(part, err) || tree_sync(part, err))
		return -1;
	return rename(part, final) ? err_set_errno(err, ERR_IO, "cannot rename '%s'", part) : 0;
}

/* final/ is whole or absent. */
static int write_final(const struct run *run, struct err *err)
{
	char *final = tree_join(run->directory, "final", err), *part = tree_join(run->directory, "final.part", err);
	enum tree_kind kind;
	int rc = final && part ? tree_look(final, &kind, err) : -1;
	if (!rc && (kind == TREE_NOTHING || !is_whole(run, final)))
		rc = make_final(run, part, final, err);
	free(part);
	free(final);
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

/* The last stage's file of that name, where it has one. */
static int copy_last(const struct run *run, const char *name, struct err *err)
{
	char *from = run_path(run, run->stages - 1, name, err), *to = tree_join(run->directory, name, err);
	int rc = from && to ? 0 : -1;
	enum tree_kind kind = TREE_NOTHING;
	if (!rc)
		rc = tree_look(from, &kind, err);
	if (!rc && kind != TREE_NOTHING)
		rc = tree_copy(to, from, err);
	free(from);
	free(to);
	return rc;
}

int run_finish(struct run *run, struct err *err)
{
	char *cassette = tree_join(run->directory, "cassette.jsonl", err);
	int rc = cassette ? 0 : -1;
	run->step = "finish";
	if (!rc && run->method->draw != DRAW_NONE)
		rc = write_final(run, err);
	if (!rc)
		rc = copy_last(run, "predictions.jsonl", err) || copy_last(run, "metrics.json", err) ||
				     ledger_export(run->ledger, cassette, err)
			     ? -1 : 0;
	free(cassette);
	run->step = "done";
	if (rc || run_status(run, err) || run_log(run, "finished", err) ||
	    report_write(run->directory, NULL, run->options->version, err))
		return -1;
	return ledger_finish(run->ledger, err);
}
