// SPDX-License-Identifier: Apache-2.0
/*
 * collect_fault.h - six queries, two at once, for whoever fails at one point of
 * collecting them, and what must hold once a next start has ended.
 *
 *     Six six;
 *     … six.live() in a process of its own, which fails …
 *     … six.live() again …
 *     six.expect_done();
 *
 * The budget allows as many doubts as one crash may leave, so every query is
 * answered in the end. The server shows the key in its answers.
 */
#ifndef BALDISTILL_TESTS_COLLECT_FAULT_H
#define BALDISTILL_TESTS_COLLECT_FAULT_H

#include <fcntl.h>
#include <sys/mman.h>

#include "tests/collect_run.h"

enum { QUERIES = 6, SLOTS = 2, BUDGET = QUERIES + SLOTS };
inline const char *const KEY_NAME = "BALDISTILL_TEST_KEY", *const BEGINS = "/the-run-begins-here";

/* What was told to be answered, in a file that outlives its process and takes no call to write. */
struct Acknowledged {
	std::atomic<char> *of;
	struct ledger **ledger = nullptr;

	explicit Acknowledged(const std::string &path)
	{
		int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		bool good = fd >= 0 && !ftruncate(fd, QUERIES);
		void *map = good ? mmap(nullptr, QUERIES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
		close(fd);
		if (map == MAP_FAILED)
			throw std::runtime_error("cannot map " + path);
		of = static_cast<std::atomic<char> *>(map);
	}
	Acknowledged(const Acknowledged &) = delete;
	~Acknowledged()
	{
		munmap(of, QUERIES);
	}
	/* collector.settled: all that the ledger holds now is told. */
	static int tell(void *context, struct err *)
	{
		struct err ignored;
		auto visit = [](void *told, const struct ledger_row *row, struct err *) {
			if (!strcmp(row->state, "answered"))
				static_cast<Acknowledged *>(told)->of[atoi(row->query.example_id)] = 1;
			return 0;
		};
		ledger_step_attempts(*static_cast<Acknowledged *>(context)->ledger, 0, "annotate", visit, context, &ignored);
		return 0;
	}
};

/* The part of a run that a process of its own can have, too. */
struct Collecting {
	World world{QUERIES, BUDGET};
	Acknowledged told;

	explicit Collecting(const std::string &acknowledged) : told(acknowledged)
	{
		world.teacher.max_concurrent_requests = world.options.slots = SLOTS;
		world.voice.say = nullptr; /* it would need memory */
		world.collector.settled = Acknowledged::tell;
		world.collector.context = &told;
		told.ledger = &world.collector.ledger;
	}
	int live(const char *url)
	{
		return ::live(world, url, KEY_NAME);
	}
};

struct Six {
	Temporary files;
	Collecting collecting{files / "acknowledged"};
	World &world = collecting.world;
	Bill bill;
	long again = 0;
	Mock mock{[this](Connection &c) { serve(c); }};
	std::string url = mock.url();

	void serve(Connection &c)
	{
		if (!c.read_request())
			return;
		std::string key = CANARY, text;
		{
			std::lock_guard<std::mutex> lock(bill.mutex);
			std::string id = bill.note(c.request);
			bill.billed++;
			again += collecting.told.of[atoi(id.c_str())];
			text = text_of(id);
		}
		c.send(reply(
			"200 OK", "X-Echo: " + key + "\r\n",
			answer("\"content\":\"" + text + "\"", "\"stop\"",
			       ",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2},\"echo\":\"" + key + "\"")));
	}
	void expect_no_key(const Temporary &place)
	{
		for (const auto &file : std::filesystem::recursive_directory_iterator(place.path)) {
			bool shows = file.is_regular_file() && read_file(file.path()).find(CANARY) != std::string::npos;
			EXPECT_FALSE(shows) << "the key stands in " << file.path();
		}
	}
	void expect_done()
	{
		struct ledger_counts units = world.units();
		EXPECT_EQ(units.answered, QUERIES);
		EXPECT_LE(units.in_doubt, SLOTS) << "G4";
		EXPECT_EQ(again, 0) << "asked after its answer was told: G2";
		expect_known(world, bill);
		EXPECT_EQ(world.answers().size(), (size_t)QUERIES);
		expect_no_key(world.run);
		expect_no_key(world.state);
	}
};

#endif
