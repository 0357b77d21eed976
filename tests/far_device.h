// SPDX-License-Identifier: Apache-2.0
/*
 * far_device.h - the reference as a device whose memory the host cannot read.
 *
 * Arrays lie in pages that are closed but for the time of an operation: a host
 * that looks into them dies. Groups of weights are copies of the device's own,
 * in its type, their rows padded, as a GPU backend keeps them. Operations
 * between capture_begin and capture_end are kept, run once at its end and again
 * by replay; a transfer, wait or allocation between the two fails the device.
 *
 *     Far far(DTYPE_F32);
 *     model_load(path, &far, …);
 *     far.captured, far.replayed, far.graphs
 */
#ifndef BALDISTILL_TESTS_FAR_DEVICE_H
#define BALDISTILL_TESTS_FAR_DEVICE_H

#include <sys/mman.h>

#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "reference/kernel.h"

struct graph {
	std::vector<std::function<void()>> calls;
};

/* ---- arguments that outlive their call ------------------------------------------- */

template <typename P, typename = void> struct HasDropout : std::false_type {};
template <typename P> struct HasDropout<P, std::void_t<decltype(P::drop)>> : std::true_type {};

template <typename T> struct Kept {
	T value;
	T get() const { return value; }
};

/* Structs of parameters, with the dropout they point to: both may be the caller's locals. */
template <typename P> struct Kept<const P *> {
	std::shared_ptr<P> copy;
	std::shared_ptr<struct dropout> drop;

	explicit Kept(const P *p) : copy(p ? std::make_shared<P>(*p) : nullptr)
	{
		if constexpr (HasDropout<P>::value)
			if (copy && copy->drop) {
				drop = std::make_shared<struct dropout>(*copy->drop);
				copy->drop = drop.get();
			}
	}
	const P *get() const { return copy.get(); }
};

/* ---- the device ---------------------------------------------------------------------- */

class Far : public device {
public:
	const struct kernels *inner = kernels_reference();
	bool captures = true;
	int captured = 0, replayed = 0, graphs = 0; /* graphs: alive */

	explicit Far(enum dtype dtype) : device()
	{
		arena = (char *)mmap(nullptr, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		EXPECT_NE(arena, MAP_FAILED);
		make_table();
		k = &table, name = "far", threads = 1, remote = true;
		resid_dtype = act_dtype = cache_dtype = dtype;
	}
	Far(const Far &) = delete;
	~Far()
	{
		EXPECT_STREQ(failure, "");
		EXPECT_EQ(graphs, 0);
		munmap(arena, ROOM);
	}

	/* With the arrays open; operations that the reference makes of others are within the first. */
	template <typename F> void open(F run)
	{
		if (!depth++)
			mprotect(arena, used, PROT_READ | PROT_WRITE);
		run();
		if (!--depth)
			mprotect(arena, used, PROT_NONE);
	}

	bool forbidden(const char *op)
	{
		if (recording)
			device_fail(this, op, "within a captured step");
		return recording;
	}

	std::vector<std::function<void()>> calls;
	bool recording = false;
	int depth = 0;

private:
	enum : size_t { ROOM = (size_t)8 << 30, PAGE = 1 << 12, PAD = 64 /* columns behind a row of a group */ };
	char *arena;
	size_t used = 0;
	struct kernels table;

	static Far *of(struct device *dev) { return static_cast<Far *>(dev); }

	/* Fresh pages are zero; what is freed gives its pages back, and its addresses are not used again. */
	void *take(size_t bytes)
	{
		size_t size = (bytes + PAGE) / PAGE * PAGE;
		if (forbidden("alloc") || size > ROOM - used)
			return nullptr;
		used += size;
		allocated += bytes;
		return arena + used - size;
	}

	void give(void *data, size_t bytes)
	{
		if (data)
			madvise(data, (bytes + PAGE) / PAGE * PAGE, MADV_DONTNEED), allocated -= bytes;
	}

	static struct buffer *alloc(struct device *dev, size_t bytes)
	{
		void *data = of(dev)->take(bytes);
		return data ? new buffer{data, bytes} : nullptr;
	}

	static void free(struct device *dev, struct buffer *buffer)
	{
		if (!buffer || of(dev)->forbidden("free"))
			return;
		of(dev)->give(buffer->data, buffer->bytes);
		delete buffer;
	}

	static void reserve(struct device *dev, size_t bytes)
	{
		if (bytes <= dev->scratch.bytes || of(dev)->forbidden("reserve"))
			return;
		of(dev)->give(dev->scratch.data, dev->scratch.bytes);
		dev->scratch = {of(dev)->take(bytes), bytes};
	}

	static void upload(struct device *dev, struct view dst, const void *host)
	{
		if (of(dev)->forbidden("upload"))
			return;
		const char *from = (const char *)host; /* read while arrays are closed: it is the host's */
		std::vector<char> bytes(from, from + (size_t)(dst.rows * dst.cols) * dtype_size(dst.dtype));
		of(dev)->open([&] { of(dev)->inner->upload(dev, dst, bytes.data()); });
	}

	static void download(struct device *dev, void *host, struct view src)
	{
		if (!of(dev)->forbidden("download"))
			of(dev)->open([=] { of(dev)->inner->download(dev, host, src); });
	}

	static void sync(struct device *dev) { of(dev)->forbidden("sync"); }

	static int prepare(struct device *dev, struct weight *w, int n, const struct view host[], enum dtype, unsigned uses)
	{
		int64_t rows = 0, ld = host[0].cols + PAD, row = 0;
		for (int i = 0; i < n; i++)
			rows += host[i].rows;
		struct buffer *buffer = alloc(dev, (size_t)(rows * ld) * dtype_size(dev->act_dtype));
		*w = {};
		w->n = n, w->uses = uses, w->packed = buffer, w->bytes = buffer->bytes;
		for (int i = 0; i < n; row += host[i++].rows) {
			w->w[i] = view_of(buffer, host[i].rows, host[i].cols, dev->act_dtype);
			w->w[i].ld = ld, w->w[i].offset = row * ld;
			const char *from = (const char *)view_row(host[i], 0); /* as in upload */
			size_t size = (size_t)((host[i].rows - 1) * host[i].ld + host[i].cols) * dtype_size(host[i].dtype);
			std::vector<char> bytes(from, from + size);
			struct buffer copy = {bytes.data(), size};
			struct view matrix = host[i];
			matrix.buffer = &copy, matrix.offset = 0;
			dev->k->copy(dev, w->w[i], matrix);
		}
		return dev->failure[0] ? -1 : 0;
	}

	static void refresh(struct device *, struct weight *) {}

	static void release(struct device *dev, struct weight *w)
	{
		free(dev, (struct buffer *)w->packed);
		*w = {};
	}

	static void capture_begin(struct device *dev)
	{
		of(dev)->recording = of(dev)->captures;
	}

	static bool replay(struct device *dev, struct graph *graph)
	{
		if (!graph || dev->failure[0])
			return false;
		of(dev)->replayed++;
		for (auto &call : graph->calls)
			of(dev)->open(call);
		return true;
	}

	static struct graph *capture_end(struct device *dev)
	{
		if (!of(dev)->recording)
			return nullptr;
		of(dev)->recording = false;
		of(dev)->captured++, of(dev)->graphs++;
		struct graph *graph = new ::graph{std::move(of(dev)->calls)};
		of(dev)->calls.clear();
		replay(dev, graph);
		of(dev)->replayed--;
		return graph;
	}

	static void graph_free(struct device *dev, struct graph *graph)
	{
		of(dev)->graphs--;
		delete graph;
	}

	template <auto M> struct Operation;
	template <typename... A, void (*kernels::*M)(struct device *, A...)> struct Operation<M> {
		static void call(struct device *dev, A... a)
		{
			Far *far = of(dev);
			if (far->recording && !far->depth) {
				std::tuple<Kept<A>...> kept{Kept<A>{a}...};
				far->calls.push_back([=] {
					std::apply([&](const auto &...x) { (far->inner->*M)(dev, x.get()...); }, kept);
				});
			} else {
				far->open([&] { (far->inner->*M)(dev, a...); });
			}
		}
	};

	void make_table()
	{
		table = *inner;
#define WRAP(op) table.op = Operation<&kernels::op>::call;
		KERNEL_OPS(WRAP)
#undef WRAP
		table.name = "far";
		table.alloc = alloc, table.free = free, table.reserve = reserve, table.sync = sync;
		table.upload = upload, table.download = download;
		table.prepare = prepare, table.refresh = refresh, table.release = release;
		table.capture_begin = capture_begin, table.capture_end = capture_end;
		table.replay = replay, table.graph_free = graph_free;
	}
};

#endif
