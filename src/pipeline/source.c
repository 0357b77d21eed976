// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/base/mem.h"

/* ---- openai ----------------------------------------------------------------------- */

static bool stands_in(const struct plan_map *headers, const char *value)
{
	size_t i = 0;
	while (i < headers->n && !strstr(headers->pair[i].value, value))
		i++;
	return i < headers->n;
}

/* The key's variable leaves the environment, unless a header is made of it: the run's own plan is read after this. */
static int read_variable(struct teacher_key *key, const struct plan_teacher *t, bool erase, struct err *err)
{
	const char *value = getenv(t->api_key_env);
	bool stays = value && *value && stands_in(&t->extra_headers, value);
	if (teacher_key_from_env(key, t->api_key_env, erase && !stays, err))
		return -1;
	if (stays && setenv(t->api_key_env, key->text, 1))
		return err_set(err, ERR_MEMORY, "out of memory for the environment");
	return 0;
}

/* An empty variable name and no file: a server that wants no key. */
int source_read_key(struct teacher_key *key, const struct plan_teacher *t, bool erase, struct err *err)
{
	*key = (struct teacher_key){0};
	if (t->kind != TEACHER_OPENAI)
		return 0;
	if (t->api_key_file && *t->api_key_file)
		return teacher_key_from_file(key, t->api_key_file, err);
	if (t->api_key_env && *t->api_key_env)
		return read_variable(key, t, erase, err);
	return 0;
}

/* A key that a header carries is redacted like the key; of what else comes from variables, the whole value. */
static int keep_secrets(struct source *s, const struct plan_map *map, struct err *err)
{
	s->secret = mem_array(map->n, sizeof *s->secret, err);
	for (size_t i = 0; s->secret && i < map->n; i++) {
		struct teacher_key *key = &s->secret[s->secrets];
		if (!map->pair[i].secret)
			continue;
		if (teacher_key_from_value(key, map->pair[i].value, err))
			return -1;
		key->whole = !map->pair[i].key;
		key->next = s->key.next;
		s->key.next = key;
		s->secrets++;
	}
	return s->secret ? 0 : -1;
}

static int copy_headers(struct source *s, const struct plan_map *map, struct err *err)
{
	s->headers = mem_array(map->n, sizeof *s->headers, err);
	for (size_t i = 0; s->headers && i < map->n; i++)
		s->headers[i] = (struct teacher_http_header){map->pair[i].name, map->pair[i].value};
	return s->headers ? 0 : -1;
}

/* Scheme and host of a URL that was found good: up to what ends the authority, in lower case as neither has one. */
static int name_host(struct source *s, const char *url, struct err *err)
{
	const char *host = strstr(url, "://");
	size_t n = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : strlen(url);
	if (n >= sizeof s->host)
		return err_set(err, ERR_CONFIG, "the host of teacher.base_url is longer than %zu bytes",
			       sizeof s->host - 1);
	for (size_t i = 0; i < n; i++)
		s->host[i] = (char)(url[i] >= 'A' && url[i] <= 'Z' ? url[i] - 'A' + 'a' : url[i]);
	s->host[n] = '\0';
	return 0;
}

/* Whoever stands between may send again what we send once; the user is told before it costs. */
static void tell_proxy(const struct teacher_source *teacher, const struct voice *voice)
{
	bool exceptions;
	const char *proxy = teacher_openai_proxy(teacher, &exceptions);
	if (proxy)
		voice_say(voice, "requests to the teacher go through the proxy '%s'%s; should it repeat one, the "
			  "provider bills what no ledger counts: compare ledger audit with the bill", proxy,
			  exceptions ? ", unless no_proxy names the teacher" : "");
}

/* Files of the run, the database and the libraries beside the requests. */
static int check_descriptors(int64_t requests, struct err *err)
{
	const rlim_t others = 48;
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= (rlim_t)requests + others)
		return 0;
	return err_set(err, ERR_CONFIG, "teacher.max_concurrent_requests is %lld, and this process may open %llu files; lower it, or raise 'ulimit -n'",
		       (long long)requests, (unsigned long long)files.rlim_cur);
}

static int open_openai(struct source *s, const struct plan *plan, const struct source_options *options,
		       struct err *err)
{
	const struct plan_teacher *t = &plan->teacher;
	if (!t->base_url)
		return err_set(err, ERR_CONFIG, "teacher.base_url is missing; write https://HOST/v1");
	if (check_descriptors(t->max_concurrent_requests, err))
		return -1;
	if (t->ca_file && access(t->ca_file, R_OK))
		return err_set_errno(err, ERR_NOINPUT, "teacher.ca_file: cannot read '%s'", t->ca_file);
	int rc = options->key ? teacher_key_copy(&s->key, options->key, err)
			      : source_read_key(&s->key, t, options->erase_key, err);
	if (rc || keep_secrets(s, &t->extra_headers, err) || copy_headers(s, &t->extra_headers, err))
		return -1;
	struct teacher_openai_config config = {
		.http = {.base_url = t->base_url, .key = &s->key, .headers = s->headers,
			 .headers_n = t->extra_headers.n, .ca_file = t->ca_file, .max_concurrent = (size_t)t->max_concurrent_requests,
			 .allow_http = options->allow_http, .timeout = t->timeout},
		.model = t->model, .max_wait = t->max_wait,
	};
	s->teacher = teacher_openai_open(&config, err);
	if (!s->teacher || name_host(s, t->base_url, err))
		return -1;
	tell_proxy(s->teacher, options->voice);
	return 0;
}

/* ---- the others ----------------------------------------------------------------------- */

static int open_local(struct source *s, const struct plan *plan, const struct source_options *options, struct err *err)
{
	snprintf(s->host, sizeof s->host, "local");
	s->teacher = source_local_open(plan, options->voice, err);
	return s->teacher ? 0 : -1;
}

static int open_command(struct source *s, const struct plan *plan, const struct source_options *options,
			struct err *err)
{
	const struct plan_teacher *t = &plan->teacher;
	struct teacher_command_config config = {.argv = t->command.list, .key_name = t->api_key_env,
						.max_concurrent = (size_t)t->max_concurrent_requests,
						.timeout = t->timeout};
	(void)options;
	if (!t->command.list || !t->command.n)
		return err_set(err, ERR_CONFIG, "teacher.command is missing; write [PROGRAM, ARGUMENT, ...]");
	snprintf(s->host, sizeof s->host, "command");
	s->teacher = teacher_command_open(&config, err);
	return s->teacher ? 0 : -1;
}

static int open_recorded(struct source *s, const struct plan *plan, const struct source_options *options,
			 struct err *err)
{
	struct teacher_recorded_config config = {.path = plan->teacher.cassette,
						 .skip_missing = plan->teacher.on_missing == MISSING_SKIP};
	(void)options;
	if (!config.path)
		return err_set(err, ERR_CONFIG, "teacher.cassette is missing; name a file of recorded answers");
	snprintf(s->host, sizeof s->host, "recorded");
	s->teacher = teacher_recorded_open(&config, err);
	return s->teacher ? 0 : -1;
}

/* ---- by kind --------------------------------------------------------------------------- */

static int (*const openers[])(struct source *, const struct plan *, const struct source_options *, struct err *) = {
	[TEACHER_OPENAI] = open_openai, [TEACHER_LOCAL] = open_local, [TEACHER_COMMAND] = open_command,
	[TEACHER_RECORDED] = open_recorded,
};

/* The last part of a path, which does not change with the directory a run is started from. */
static const char *last_part(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash && slash[1] ? slash + 1 : path;
}

/* What answers, as the ledger holds a run to it: the model or the program by name. */
static const char *model_of(const struct plan_teacher *t)
{
	if (t->kind == TEACHER_OPENAI)
		return t->model;
	if (t->kind == TEACHER_LOCAL)
		return last_part(t->model_name_or_path);
	return t->kind == TEACHER_COMMAND && t->command.list ? last_part(t->command.list[0]) : NULL;
}

/* Before the student answers for hours. */
static int open_reuse(struct source *s, const struct plan_teacher *t, struct err *err)
{
	const struct teacher_recorded_config config = {.path = t->reuse, .skip_missing = true, .exact = true};
	s->reuse = t->reuse ? teacher_recorded_open(&config, err) : NULL;
	return t->reuse && !s->reuse ? -1 : 0;
}

int source_open(struct source *s, const struct plan *plan, const struct source_options *options, struct err *err)
{
	const struct plan_teacher *t = &plan->teacher;
	const char *model = model_of(t);
	*s = (struct source){0};
	if (model && strlen(model) >= sizeof s->model)
		return err_set(err, ERR_CONFIG, "the name of the teacher's model is longer than %zu bytes",
			       sizeof s->model - 1);
	snprintf(s->model, sizeof s->model, "%s", model ? model : "");
	if (!open_reuse(s, t, err) && !openers[t->kind](s, plan, options, err))
		return 0;
	source_close(s);
	return -1;
}

void source_close(struct source *s)
{
	if (s->teacher)
		s->teacher->close(s->teacher);
	if (s->reuse)
		s->reuse->close(s->reuse);
	teacher_key_release(&s->key);
	for (size_t i = 0; i < s->secrets; i++)
		teacher_key_release(&s->secret[i]);
	free(s->secret);
	free(s->headers);
	*s = (struct source){0};
}
