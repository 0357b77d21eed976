// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/cmd/bench.h"
#include "src/cmd/job.h"

extern char **environ;

/* Does the CPU run what this OpenBLAS core type's kernels contain? The library does not ask when it is told. */
#if defined(__x86_64__)
static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool has_avx512_bf16(void)
{
	return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

static const struct {
	const char *name;
	bool (*runs)(void);
} core_types[] = {
	{"Haswell", has_avx2}, {"Zen", has_avx2}, {"SkylakeX", has_avx512}, {"Cooperlake", has_avx512_bf16},
	{"Sapphirerapids", has_avx512_bf16},
};
enum { CORE_TYPES = sizeof core_types / sizeof *core_types };
#else
static const struct {
	const char *name;
	bool (*runs)(void);
} core_types[1];
enum { CORE_TYPES = 0 };
#endif

/* This process's environment with OPENBLAS_CORETYPE=core; the array is the caller's to free, `entry` its storage. */
static char **environment_with(char *entry, size_t room, const char *core)
{
	size_t n = 0, kept = 0;
	while (environ[n])
		n++;
	char **list = calloc(n + 2, sizeof *list);
	for (size_t i = 0; list && i < n; i++)
		if (strncmp(environ[i], "OPENBLAS_CORETYPE=", 18))
			list[kept++] = environ[i];
	snprintf(entry, room, "OPENBLAS_CORETYPE=%s", core);
	if (list)
		list[kept] = entry;
	return list;
}

/* Read a child's output whole (it is short). */
static size_t read_output(int fd, char *text, size_t room)
{
	size_t n = 0;
	for (ssize_t got = 1; got > 0 && n < room - 1;) {
		got = read(fd, text + n, room - 1 - n);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			n += (size_t)got;
	}
	text[n] = '\0';
	return n;
}

/* Run `bench products --json` of this program; its output in text, or "" where it failed. */
static int spawn_products(const char *backend, const char *core, const char *dtype, uint64_t threads, char *text,
			  size_t room, struct err *err)
{
	char entry[64], count[24];
	int out[2], status = -1;
	pid_t pid;
	snprintf(count, sizeof count, "%llu", (unsigned long long)threads);
	char *argv[] = {"baldistill", "bench", "products", "--json", "--threads", count, "--backend", (char *)backend,
			"--dtype", (char *)dtype, NULL};
	char **with_core = core ? environment_with(entry, sizeof entry, core) : NULL;
	posix_spawn_file_actions_t actions;
	if (pipe(out))
		return err_set_errno(err, ERR_MEMORY, "cannot make a pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0); /* a failed run is left out */
	int rc = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, with_core ? with_core : environ);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	if (!rc) {
		read_output(out[0], text, room);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(out[0]);
	free(with_core);
	if (status)
		text[0] = '\0';
	errno = rc;
	return rc ? err_set_errno(err, ERR_MEMORY, "cannot start this program again") : 0;
}

static int read_product(struct bench_product *row, const char *text, struct err *err)
{
	const char *backend, *core, *dtype;
	struct json *json = json_parse(text, strlen(text), NULL, err);
	if (!json)
		return -1;
	struct json_value root = json_root(json);
	int rc = json_get_string(json_in(root, "backend"), &backend, NULL, err) ||
		 json_get_string(json_in(root, "core"), &core, NULL, err) ||
		 json_get_string(json_in(root, "dtype"), &dtype, NULL, err) ||
		 json_get_double(json_in(root, "rate"), &row->rate, err);
	if (!rc) {
		snprintf(row->backend, sizeof row->backend, "%s", backend);
		snprintf(row->core, sizeof row->core, "%.*s", (int)strcspn(core, " ("), core); /* "Zen (asked: …)" */
		snprintf(row->dtype, sizeof row->dtype, "%s", dtype);
	}
	json_free(json);
	return rc ? -1 : 0;
}

/* Add a row, or the better of two for the same kernels (a core type the library does not have shows as another). */
static void add_product(struct bench_products *p, const struct bench_product *row)
{
	int i = 0;
	while (i < p->n && (strcmp(p->row[i].backend, row->backend) || strcmp(p->row[i].core, row->core)))
		i++;
	if (i == BENCH_PRODUCTS || row->rate <= 0)
		return;
	if (i == p->n)
		p->row[p->n++] = *row;
	p->row[i].rate = row->rate > p->row[i].rate ? row->rate : p->row[i].rate;
}

/* What every run of the program is asked for. */
struct asked {
	const char *dtype;
	uint64_t threads;
};

static int measure_one(struct bench_products *p, const char *backend, const char *core, const struct asked *asked,
		       struct bench_product *row, struct err *err)
{
	char text[512];
	struct err ignored = {0};
	if (spawn_products(backend, core, asked->dtype, asked->threads, text, sizeof text, err))
		return -1;
	*row = (struct bench_product){0};
	if (text[0] && !read_product(row, text, &ignored))
		add_product(p, row);
	return 0;
}

/* Every library and core type once. */
static int measure_round(struct bench_products *p, const char *backend, const struct asked *asked, struct err *err)
{
	struct bench_product row;
	struct asked others = *asked;
	if (measure_one(p, backend, NULL, asked, &row, err))
		return -1;
	if (row.rate > p->own.rate)
		p->own = row;
	if (p->own.dtype[0]) /* what this one multiplies */
		others.dtype = p->own.dtype;
	for (const char *const *name = backend_names; *name; name++) {
		struct backend_info info;
		backend_probe(*name, &info);
		if (!info.usable || !strcmp(*name, "openblas") || !strcmp(*name, "reference"))
			continue;
		if (measure_one(p, *name, NULL, &others, &row, err))
			return -1;
	}
	for (int i = 0; i < CORE_TYPES; i++)
		if (core_types[i].runs() && measure_one(p, "openblas", core_types[i].name, &others, &row, err))
			return -1;
	return 0;
}

int bench_all_products(struct bench_products *p, const char *backend, enum dtype dtype, uint64_t threads,
		       struct err *err)
{
	const struct asked asked = {job_dtype_word(dtype), threads};
	enum { ROUNDS = 3 }; /* the best of each: a machine that is busy for a while slows one round, not all */
	*p = (struct bench_products){0};
	for (int i = 0; i < ROUNDS; i++)
		if (measure_round(p, backend, &asked, err))
			return -1;
	for (int i = 0; i < p->n; i++)
		if (!strcmp(p->row[i].dtype, p->own.dtype) && p->row[i].rate > p->best)
			p->best = p->row[i].rate;
	return 0;
}
