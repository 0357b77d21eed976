// SPDX-License-Identifier: Apache-2.0
/*
 * A process that collects is killed at each of its calls for files and sockets,
 * and each of its writes and syncs fails, with EIO and with ENOSPC; then the
 * same command goes on to the end. strace counts the calls and fails them; the
 * server is in this process, out of its reach. A plain check takes every
 * STRIDE-th case, TEST_LONG all.
 */
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/collect_fault.h"

namespace
{

enum { STRIDE = 11 };

/* One call: its name, and which of that name it is since the process began. */
struct Call {
	std::string name;
	int count;
	bool full; /* what a full disk can fail, too: all but opening what is there */
};

/* Calls that write, sync, or change a directory. */
const std::set<std::string> writes = {"write",     "pwrite64", "ftruncate", "fallocate", "fsync",  "fdatasync",
				      "msync",     "openat",   "mkdir",     "mkdirat",   "rename", "renameat",
				      "renameat2", "unlink",   "unlinkat",  "fchmod"};

std::string beside(const std::string &name)
{
	return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}

/* The wait status of a command whose errors go to a file. */
int run(const std::vector<std::string> &words, const std::string &errors)
{
	std::vector<char *> argv;
	posix_spawn_file_actions_t actions;
	pid_t child;
	int status = -1;
	for (const std::string &word : words)
		argv.push_back(const_cast<char *>(word.c_str()));
	argv.push_back(nullptr);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ))
		waitpid(child, &status, 0);
	posix_spawn_file_actions_destroy(&actions);
	return status;
}

/* One start of the child, under `strace` where that has words. */
int start(Six &six, const std::vector<std::string> &strace)
{
	std::vector<std::string> words = {"env", "TMPDIR=" + six.files.path, std::string(KEY_NAME) + "=" + CANARY,
					  "ASAN_OPTIONS=detect_leaks=0"};
	words.insert(words.end(), strace.begin(), strace.end());
	for (const std::string &word :
	     {beside("collect_child"), six.world.run.path, six.world.state.path, six.files / "acknowledged", six.url})
		words.push_back(word);
	return run(words, six.files / "errors");
}

bool can_trace()
{
	Temporary place;
	return !run({"strace", "-f", "-o", "/dev/null", "true"}, place / "errors");
}

/* All calls of an undisturbed run from BEGINS on. */
std::vector<Call> list_calls()
{
	Six six;
	std::map<std::string, int> count;
	std::vector<Call> calls;
	std::string line;
	bool begun = false;
	EXPECT_EQ(start(six, {"strace", "-f", "-o", six.files / "trace", "-e", "trace=%file,%desc,%network"}), 0)
		<< read_file(six.files / "errors");
	six.expect_done();
	std::ifstream trace(six.files / "trace");
	while (std::getline(trace, line)) {
		size_t from = line.find_first_not_of("0123456789 "), to = line.find('(');
		if (from == std::string::npos || to == std::string::npos || line.find("resumed>") != std::string::npos)
			continue;
		Call call = {line.substr(from, to - from), 0, true};
		call.full = call.name != "openat" || line.find("O_CREAT") != std::string::npos;
		call.count = ++count[call.name];
		if (begun)
			calls.push_back(call);
		begun = begun || line.find(BEGINS) != std::string::npos;
	}
	return calls;
}

/* The end of a start at which one call failed in that way: the wait status. Then a start that nothing disturbs. */
int fail(const Call &call, const std::string &how)
{
	SCOPED_TRACE(call.name + " number " + std::to_string(call.count) + ": " + how);
	Six six;
	int status = start(six, {"strace", "-qq", "-f", "-o", "/dev/null", "-e", "trace=" + call.name, "-e",
				 "inject=" + call.name + ":" + how + ":when=" + std::to_string(call.count)});
	SCOPED_TRACE(read_file(six.files / "errors"));
	EXPECT_EQ(start(six, {}), 0) << read_file(six.files / "errors");
	six.expect_done();
	return status;
}

size_t stride()
{
	const char *all = getenv("TEST_LONG");
	return all && *all ? 1 : STRIDE;
}

TEST(CollectCalls, KilledAtEach)
{
	if (!can_trace())
		GTEST_SKIP() << "strace is not here, or may not trace";
	std::vector<Call> calls = list_calls();
	int cases = 0, killed = 0;
	for (size_t i = 0; i < calls.size() && !HasFailure(); i += stride()) {
		int status = fail(calls[i], "signal=KILL");
		EXPECT_TRUE(!status || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) << status;
		killed += status != 0;
		cases++;
	}
	EXPECT_GT(killed, cases * 3 / 4) << "most kills must be felt";
	printf("%d of %zu calls, %d kills\n", cases, calls.size(), killed);
}

TEST(CollectCalls, EachWriteFails)
{
	if (!can_trace())
		GTEST_SKIP() << "strace is not here, or may not trace";
	std::vector<Call> calls = list_calls();
	int cases = 0, felt = 0, all = 0;
	for (const Call &call : calls)
		for (const char *how : {"error=EIO", "error=ENOSPC"}) {
			bool can = writes.count(call.name) && (call.full || how != std::string("error=ENOSPC"));
			if (HasFailure() || !can || all++ % stride())
				continue;
			int status = fail(call, how);
			int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
			EXPECT_TRUE(!code || code == ERR_IO || code == ERR_CANTCREATE)
				<< call.name << " " << call.count << " " << how << ": " << code;
			felt += code != 0;
			cases++;
		}
	EXPECT_GT(felt, cases / 2) << "most failures must be felt";
	printf("%d of %d writes, %d failures told\n", cases, all, felt);
}

} // namespace
