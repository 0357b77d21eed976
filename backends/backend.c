// SPDX-License-Identifier: Apache-2.0
/* Backends by name: the reference, and modules opened when they are first asked for. */
#include "config.h"

#include "backends/backend.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <strings.h>
#include <unistd.h>

#ifndef PKGLIBDIR
#define PKGLIBDIR "/usr/local/lib/baldistill"
#endif

/* In f32 onednn brings some per cent, and keeps a second copy of every weight for them: it stands behind openblas. */
const char *const backend_names[] = {"cuda", "openblas", "onednn", "reference", NULL};
static const char *const bf16_names[] = {"cuda", "onednn", NULL}; /* those that can compute in it */

/* ---- the reference ---------------------------------------------------------- */

static const struct backend reference;

static void reference_probe(struct backend_info *info)
{
	info->usable = true;
	snprintf(info->library, sizeof info->library, "built in");
	snprintf(info->threading, sizeof info->threading, "serial");
	snprintf(info->level, sizeof info->level, "C");
	snprintf(info->dtypes, sizeof info->dtypes, "float32");
	info->threads = 1;
}

static struct device *reference_open(const struct device_options *options, struct err *err)
{
	struct device *dev = device_reference_new();

	if (!dev) {
		err_set(err, ERR_MEMORY, "no memory for the reference device");
		return NULL;
	}
	dev->batch_invariant = options && options->batch_invariant;
	dev->backend = &reference;
	return dev;
}

static const struct backend reference = {
	.abi = BACKEND_ABI,
	.name = "reference",
	.probe = reference_probe,
	.open = reference_open,
	.close = device_reference_free,
};

/* ---- modules ------------------------------------------------------------------ */

/* What a module that is not there needs, and whether this build made it. */
static const struct module {
	const char *name, *missing;
	bool made;
} modules[] = {
	{"cuda", "build with an NVIDIA compiler and configure --with-cuda", HAVE_CUDA},
	{"onednn", "install oneDNN (libdnnl-dev) and configure --with-onednn", HAVE_ONEDNN},
	{"openblas", "install OpenBLAS (libopenblas-openmp-dev) and configure --with-openblas", HAVE_OPENBLAS},
	{"", "", false},
};

static const struct module *module_of(const char *name)
{
	const struct module *at = modules;

	while (*at->name && strcmp(at->name, name))
		at++;
	return at;
}

static const char *module_folder(void)
{
	const char *folder = getenv("BALDISTILL_MODULE_DIR");

	return folder && *folder ? folder : PKGLIBDIR;
}

/* Why there is no module of that name. */
static void tell_absent(const char *name, char *reason, size_t size)
{
	const struct module *module = module_of(name);

	if (module->made)
		snprintf(reason, size, "baldistill-%s.so is not in '%.100s': make install, or set "
			 "BALDISTILL_MODULE_DIR to the build's backends/.libs", name, module_folder());
	else
		snprintf(reason, size, "not built: %s", module->missing);
}

const char *backend_openblas_core(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
		return "SKYLAKEX";
#endif
	return NULL;
}

/*
 * What the module's libraries read when they are loaded. Threads of the OpenMP
 * library wait for each other by spinning for many milliseconds: on a machine
 * that others use too, one spins while the other has no processor. A tenth of a
 * millisecond bridges what lies between two products, and then they sleep.
 * False for want of memory: other kernels would give other numbers.
 */
static bool choose_settings(void)
{
	const char *core = backend_openblas_core(), *asked = getenv("OPENBLAS_CORETYPE");

	if (core && (!asked || !*asked) && setenv("OPENBLAS_CORETYPE", core, 1)) /* it takes an empty one for none */
		return false;
	return getenv("OMP_WAIT_POLICY") || !setenv("GOMP_SPINCOUNT", "2000", 0);
}

/* Was a GPU let into this container? The driver's own file shows there all the same. */
static bool has_nvidia_device(void)
{
	return !access("/dev/nvidiactl", F_OK);
}

/*
 * Is there a GPU's driver? A package may bring the CUDA module to machines
 * without one, where its libraries need not be: that is no fault of the machine.
 */
static bool has_nvidia_driver(void)
{
	return !access("/proc/driver/nvidia/version", F_OK) || has_nvidia_device();
}

/* A module that is there and cannot be opened, on a machine that should open it. */
static bool is_broken(const char *name)
{
	return strcmp(name, "cuda") || has_nvidia_driver();
}

/* The object of an opened module; NULL where it is missing or of another build. Modules stay until the end. */
static const struct backend *module_object(const char *name, void *module, char *reason, size_t size)
{
	const struct backend *backend = dlsym(module, "baldistill_backend");

	if (backend && backend->abi == BACKEND_ABI && !strcmp(backend->name, name))
		return backend;
	snprintf(reason, size, "the module of backend '%s' belongs to another build; reinstall baldistill", name);
	dlclose(module);
	return NULL;
}

/* OpenBLAS asks for its first buffer again and again for ever where it gets none: is there room for it and the library? */
static bool has_room(void)
{
	const size_t bytes = (size_t)224 << 20;
	void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return room != MAP_FAILED && !munmap(room, bytes);
}

static const struct backend *load(const char *name, struct backend_info *info)
{
	const size_t size = sizeof info->reason;
	char path[4096];

	info->built = true;
	if (!strcmp(name, reference.name))
		return &reference;
	snprintf(path, sizeof path, "%s/baldistill-%s.so", module_folder(), name);
	info->built = !access(path, F_OK) || errno != ENOENT; /* dlopen tells what else is wrong with it */
	if (!info->built) {
		tell_absent(name, info->reason, size);
		return NULL;
	}
	info->no_memory = (strcmp(name, "cuda") && !choose_settings()) || (!strcmp(name, "openblas") && !has_room());
	if (info->no_memory) {
		snprintf(info->reason, size, "there is not enough memory for it");
		return NULL;
	}
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (module)
		return module_object(name, module, info->reason, size);
	snprintf(info->reason, size, "%s: %s",
		 is_broken(name) ? module_of(name)->missing : "there is no NVIDIA driver here", dlerror());
	return NULL;
}

static bool known(const char *name)
{
	for (const char *const *at = backend_names; *at; at++)
		if (!strcmp(*at, name))
			return true;
	return false;
}

/* Say so where the library did not follow OPENBLAS_CORETYPE. */
static void compare_core(struct backend_info *info)
{
	const char *asked = getenv("OPENBLAS_CORETYPE");
	size_t used = strlen(info->core);

	if (asked && *asked && strcasecmp(asked, info->core))
		snprintf(info->core + used, sizeof info->core - used, " (asked: %s)", asked);
}

/* Fill info; the backend, where it is usable. */
static const struct backend *probe(const char *name, struct backend_info *info)
{
	*info = (struct backend_info){0};
	snprintf(info->name, sizeof info->name, "%s", name);
	if (!known(name)) {
		snprintf(info->reason, sizeof info->reason, "there is no backend '%s'", info->name);
		return NULL;
	}
	const struct backend *backend = load(name, info);

	info->broken = !backend && info->built && is_broken(name);
	if (!backend)
		return NULL;
	backend->probe(info);
	info->broken = info->broken && has_nvidia_device();
	if (!strcmp(name, "openblas"))
		compare_core(info);
	return info->usable ? backend : NULL;
}

void backend_probe(const char *name, struct backend_info *info)
{
	probe(name, info);
}

/* ---- opening ------------------------------------------------------------------- */

/* The first usable one of a list, of those that compute in the type `word`; *out is NULL where there is none. */
static int first(const struct backend **out, const char *const *names, const char *word, struct err *err)
{
	struct backend_info info;

	*out = NULL;
	for (; *names; names++) {
		const struct backend *backend = probe(*names, &info);

		if (info.broken) {
			err_set(err, ERR_MEMORY, "backend '%s' cannot be opened (%s); name another to do without it", *names,
				info.reason);
			return -1;
		}
		if (backend && strstr(info.dtypes, word)) {
			*out = backend;
			return 0;
		}
	}
	return 0;
}

/* A module that this build made and that is not there. The reference takes a hundred times as long: nobody means that. */
static bool is_lost(struct err *err)
{
	struct backend_info info;

	for (const struct module *at = modules; *at->name; at++) {
		if (!at->made)
			continue;
		probe(at->name, &info);
		if (info.built)
			continue;
		err_set(err, ERR_UNAVAILABLE, "no backend but the slow reference: %s; or name --backend reference", info.reason);
		return true;
	}
	return false;
}

/* The reference at least; NULL where one is broken or lost. */
static const struct backend *automatic(enum dtype dtype, struct err *err)
{
	const struct backend *backend;

	if (dtype == DTYPE_BF16 && (first(&backend, bf16_names, "bfloat16", err) || backend))
		return backend;
	if (first(&backend, backend_names, "float32", err) || (backend == &reference && is_lost(err)))
		return NULL;
	return backend;
}

const char *backend_automatic(enum dtype dtype)
{
	struct err err = {0};
	const struct backend *backend = automatic(dtype, &err);

	return backend ? backend->name : "none";
}

static const struct backend *find(const char *name, enum dtype dtype, struct err *err)
{
	struct backend_info info;

	if (!strcmp(name, "auto"))
		return automatic(dtype, err);
	if (!known(name)) {
		err_set(err, ERR_CONFIG, "no backend '%s'; choose auto, cuda, onednn, openblas or reference", name);
		return NULL;
	}
	const struct backend *backend = probe(name, &info);

	if (!backend)
		err_set(err, info.no_memory ? ERR_MEMORY : ERR_UNAVAILABLE, "backend '%s' is not usable here: %s", name,
			info.reason);
	return backend;
}

struct device *backend_open(const char *name, const struct device_options *options, struct err *err)
{
	if (options && options->threads < 0) {
		err_set(err, ERR_CONFIG, "%d threads asked for; 0 means all", options->threads);
		return NULL;
	}
	const struct backend *backend = find(name, options ? options->dtype : DTYPE_F32, err);

	return backend ? backend->open(options, err) : NULL;
}

void backend_close(struct device *dev)
{
	if (dev)
		backend_of(dev)->close(dev);
}

const struct backend *backend_of(const struct device *dev)
{
	return dev->backend;
}
