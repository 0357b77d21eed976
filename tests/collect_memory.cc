// SPDX-License-Identifier: Apache-2.0
/*
 * The n-th allocation of a process that collects from a real server fails, once
 * or from then on, libraries included: it ends with 71, or as if nothing had
 * been; then the same command goes on to the end. A plain check takes CASES of
 * the allocations, TEST_LONG all.
 */
#include <sys/wait.h>

#include "tests/collect_fault.h"
#include "tests/short_memory.h"

#if SHORT_MEMORY

namespace
{

enum { CASES = 150 };

/* Of the child's last start, in memory it shares. */
struct Seen {
	long counted;
	bool failed;
	char message[1024];
} * seen;

/* One start in a process of its own; its wait status. */
int start(Six &six, long n, bool on)
{
	int status = -1;
	fflush(nullptr);
	setenv(KEY_NAME, CANARY, 1);
	pid_t child = fork();
	if (!child) {
		int code;
		{
			Shortage shortage(n, on);
			code = six.collecting.live(six.url.c_str());
			seen->counted = counted;
			seen->failed = failed;
		}
		memcpy(seen->message, six.world.err.message, sizeof seen->message);
		_exit(code);
	}
	EXPECT_EQ(waitpid(child, &status, 0), child);
	return status;
}

long count_all()
{
	Six six;
	EXPECT_EQ(start(six, 0, false), 0) << seen->message;
	six.expect_done();
	return seen->counted;
}

/* Whether the failure was told. */
bool fail(long n, bool on)
{
	SCOPED_TRACE("allocation " + std::to_string(n) + (on ? " and all after it" : ""));
	Six six;
	int status = start(six, n, on), code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	EXPECT_TRUE(!code || code == ERR_MEMORY) << "wait status " << status << ": " << seen->message;
	EXPECT_FALSE(code && !seen->failed) << seen->message;
	EXPECT_EQ(start(six, 0, false), 0) << seen->message;
	six.expect_done();
	return code != 0;
}

class CollectMemory : public testing::TestWithParam<bool>
{
};

TEST_P(CollectMemory, AnyAllocationFails)
{
	const char *all = getenv("TEST_LONG");
	void *map = mmap(nullptr, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(map, MAP_FAILED);
	seen = static_cast<Seen *>(map);
	count_all(); /* libraries set themselves up */
	long n = count_all(), step = all && *all ? 1 : n / CASES + 1;
	int cases = 0, told = 0;
	for (long i = 1 + GetParam() * (step / 2); i <= n && !HasFailure(); i += step, cases++)
		told += fail(i, GetParam());
	EXPECT_GT(told, cases / 2) << "most failures must be felt";
	printf("%d of %ld allocations, %d failures told\n", cases, n, told);
	munmap(map, sizeof *seen);
}

INSTANTIATE_TEST_SUITE_P(OnceAndOnwards, CollectMemory, testing::Bool());

} // namespace

#else

TEST(CollectMemory, NeedsTheOrdinaryAllocator)
{
	GTEST_SKIP() << "the sanitizer has an allocator of its own";
}

#endif
