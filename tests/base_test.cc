// SPDX-License-Identifier: Apache-2.0
// The ground everything stands on: errors, memory, files, hashes, progress, text.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/err.h"
#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/mem.h"
#include "src/base/progress.h"
#include "src/base/text.h"
#include "src/base/tree.h"

// Allocations meant to fail must return NULL under the address sanitizer too.
extern "C" const char *__asan_default_options()
{
	return "allocator_may_return_null=1";
}

// System calls of the writer, journalled and made to fail while a Faults lives.
struct Faults {
	Faults()
	{
		current = this;
	}
	~Faults()
	{
		current = nullptr;
	}
	// Journal the call; 0, or the errno it is to fail with.
	int meet(const std::string &call)
	{
		calls.push_back(call);
		return call == failing ? number : 0;
	}
	static Faults *current;

	std::vector<std::string> calls;
	std::string failing;
	int number = 0;
	size_t longest_write = SIZE_MAX;
	int interruptions = 0;
};

Faults *Faults::current;

extern "C" int fsync(int fd)
{
	struct stat status;
	fstat(fd, &status);
	const char *call = S_ISDIR(status.st_mode) ? "sync directory" : "sync file";
	int number = Faults::current ? Faults::current->meet(call) : 0;
	errno = number;
	return number ? -1 : static_cast<int>(syscall(SYS_fsync, fd));
}

extern "C" int renameat(int from, const char *old_name, int to, const char *new_name) noexcept
{
	int number = Faults::current ? Faults::current->meet("rename") : 0;
	errno = number;
	return number ? -1 : static_cast<int>(syscall(SYS_renameat2, from, old_name, to, new_name, 0));
}

extern "C" ssize_t write(int fd, const void *bytes, size_t n)
{
	Faults *faults = Faults::current;
	int number = 0;
	if (faults) {
		number = faults->interruptions-- > 0 ? EINTR : faults->meet("write");
		n = std::min(n, faults->longest_write);
	}
	errno = number;
	return number ? -1 : syscall(SYS_write, fd, bytes, n);
}

namespace fs = std::filesystem;
using namespace std::string_literals;

namespace {

template <typename T> using owned = std::unique_ptr<T, decltype(&free)>;

template <typename T> owned<T> own(T *bytes)
{
	return owned<T>(bytes, free);
}

bool all_zero(const void *bytes, size_t n)
{
	const char *at = static_cast<const char *>(bytes);
	for (size_t i = 0; i < n; i++) {
		if (at[i])
			return false;
	}
	return true;
}

bool is_aligned(const void *pointer, size_t alignment)
{
	return reinterpret_cast<uintptr_t>(pointer) % alignment == 0;
}

// ---------------------------------------------------------------- err.h

TEST(Err, SetStoresCodeAndMessage)
{
	struct err err = {};
	EXPECT_EQ(err_set(&err, ERR_DATA, "line %d of '%s'", 7, "a.jsonl"), -1);
	EXPECT_EQ(err.code, ERR_DATA);
	EXPECT_STREQ(err.message, "line 7 of 'a.jsonl'");
	err_clear(&err);
	EXPECT_EQ(err.code, ERR_NONE);
	EXPECT_STREQ(err.message, "");
}

TEST(Err, NullIsAccepted)
{
	EXPECT_EQ(err_set(nullptr, ERR_IO, "x"), -1);
	EXPECT_EQ(err_set_errno(nullptr, ERR_IO, "x"), -1);
	EXPECT_EQ(err_prefix(nullptr, "x"), -1);
	err_clear(nullptr);
}

TEST(Err, LongestMessageFitsAndOneMoreIsCut)
{
	struct err err = {};
	std::string longest(1023, 'a');
	err_set(&err, ERR_DATA, "%s", longest.c_str());
	EXPECT_EQ(err.message, longest);
	err_set(&err, ERR_DATA, "%sb", longest.c_str());
	EXPECT_EQ(err.message, std::string(1020, 'a') + "...");
}

TEST(Err, CutKeepsCharactersWhole)
{
	// Two-byte characters from an odd offset: byte 1020 lies inside one of them.
	struct err err = {};
	std::string text = "x";
	while (text.size() < 2000)
		text += "\xC3\xA9";
	err_set(&err, ERR_DATA, "%s", text.c_str());
	EXPECT_EQ(err.message, text.substr(0, 1019) + "...");
}

TEST(Err, ErrnoIsAppended)
{
	struct err err = {};
	errno = EIO;
	EXPECT_EQ(err_set_errno(&err, ERR_IO, "cannot write '%s'", "x"), -1);
	EXPECT_EQ(err.code, ERR_IO);
	EXPECT_EQ(err.message, "cannot write 'x': "s + strerror(EIO));
	errno = EACCES;
	err_set_errno(&err, ERR_CANTCREATE, "cannot create '%s'", "x");
	EXPECT_EQ(err.code, ERR_CANTCREATE);
}

TEST(Err, AFullDiskIsAlwaysIo)
{
	for (int number : {ENOSPC, EDQUOT}) {
		struct err err = {};
		errno = number;
		EXPECT_EQ(err_set_errno(&err, ERR_CANTCREATE, "cannot create '%s'", "x"), -1);
		EXPECT_EQ(err.code, ERR_IO);
		EXPECT_EQ(err.message, "cannot create 'x': "s + strerror(number) +
					       "; make room there and give the same command again");
	}
}

TEST(Err, PrefixKeepsCodeAndOrder)
{
	struct err err = {};
	err_set(&err, ERR_LEDGER, "row 3 is missing");
	EXPECT_EQ(err_prefix(&err, "stage %d", 2), -1);
	EXPECT_EQ(err_prefix(&err, "run '%s'", "r"), -1);
	EXPECT_EQ(err.code, ERR_LEDGER);
	EXPECT_STREQ(err.message, "run 'r': stage 2: row 3 is missing");
}

TEST(Err, PrefixThatDoesNotFitIsCut)
{
	struct err err = {};
	err_set(&err, ERR_DATA, "%s", std::string(1023, 'm').c_str());
	err_prefix(&err, "p");
	EXPECT_EQ(err.message, "p: " + std::string(1017, 'm') + "...");
}

TEST(Err, ArgumentsMayLieInTheErr)
{
	struct err err = {};
	err_set(&err, ERR_DATA, "inner");
	err_set(&err, ERR_CONFIG, "outer (%s)", err.message);
	EXPECT_STREQ(err.message, "outer (inner)");
}

// ---------------------------------------------------------------- mem.h

TEST(Size, ProductAtTheEdge)
{
	const size_t half = size_t{1} << (sizeof(size_t) * CHAR_BIT / 2);
	size_t out = 42;
	EXPECT_FALSE(size_mul(&out, half, half));
	EXPECT_FALSE(size_mul(&out, SIZE_MAX, 2));
	EXPECT_FALSE(size_mul(&out, SIZE_MAX / 2 + 1, 2));
	EXPECT_EQ(out, 42u);
	EXPECT_TRUE(size_mul(&out, SIZE_MAX, 1));
	EXPECT_EQ(out, SIZE_MAX);
	EXPECT_TRUE(size_mul(&out, SIZE_MAX / 2, 2));
	EXPECT_EQ(out, SIZE_MAX - 1);
	EXPECT_TRUE(size_mul(&out, SIZE_MAX, 0));
	EXPECT_EQ(out, 0u);
}

TEST(Size, SumAtTheEdge)
{
	size_t out = 42;
	EXPECT_FALSE(size_add(&out, SIZE_MAX, 1));
	EXPECT_FALSE(size_add(&out, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1));
	EXPECT_EQ(out, 42u);
	EXPECT_TRUE(size_add(&out, SIZE_MAX - 1, 1));
	EXPECT_EQ(out, SIZE_MAX);
	EXPECT_TRUE(size_add(&out, 0, 0));
	EXPECT_EQ(out, 0u);
}

TEST(Mem, ArrayIsZeroedAndNeverNullForNothing)
{
	struct err err = {};
	auto array = own(mem_array(1000, 8, &err));
	ASSERT_TRUE(array);
	EXPECT_TRUE(all_zero(array.get(), 8000));
	EXPECT_TRUE(own(mem_array(0, 8, &err)));
	EXPECT_TRUE(own(mem_array(8, 0, &err)));
	EXPECT_EQ(err.code, ERR_NONE);
}

TEST(Mem, SizesThatWrapOrDoNotExistAreRefused)
{
	struct err err = {};
	EXPECT_EQ(mem_array(SIZE_MAX / 4, 8, &err), nullptr);
	EXPECT_EQ(err.code, ERR_MEMORY);
	EXPECT_NE(std::string(err.message).find(std::to_string(SIZE_MAX / 4)), std::string::npos) << err.message;
	err_clear(&err);
	EXPECT_EQ(mem_array(SIZE_MAX / 4, 1, &err), nullptr);
	EXPECT_EQ(err.code, ERR_MEMORY);
	err_clear(&err);
	EXPECT_EQ(mem_aligned(64, SIZE_MAX, 1, &err), nullptr);
	EXPECT_EQ(err.code, ERR_MEMORY);
	err_clear(&err);
	EXPECT_EQ(mem_aligned(64, SIZE_MAX / 2, 3, &err), nullptr);
	EXPECT_EQ(err.code, ERR_MEMORY);
}

TEST(Mem, AlignedIsAlignedAndZeroed)
{
	struct err err = {};
	for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
		auto bytes = own(mem_aligned(alignment, 33, 7, &err));
		ASSERT_TRUE(bytes);
		EXPECT_TRUE(is_aligned(bytes.get(), alignment)) << alignment;
		EXPECT_TRUE(all_zero(bytes.get(), 33 * 7));
	}
	EXPECT_TRUE(own(mem_aligned(64, 0, 4, &err)));
	for (size_t alignment : {0, 3, 48}) {
		EXPECT_EQ(mem_aligned(alignment, 1, 1, &err), nullptr);
		EXPECT_EQ(err.code, ERR_INTERNAL);
	}
}

TEST(Mem, CopiesAreEqualAndSeparate)
{
	struct err err = {};
	char text[] = "text";
	auto copy = own(mem_strdup(text, &err));
	auto bytes = own(static_cast<char *>(mem_dup("a\0b", 3, &err)));
	text[0] = 'n';
	EXPECT_STREQ(copy.get(), "text");
	EXPECT_EQ(memcmp(bytes.get(), "a\0b", 3), 0);
	EXPECT_TRUE(own(mem_dup(nullptr, 0, &err)));
}

TEST(Mem, GrowKeepsContentAndDoubles)
{
	struct err err = {};
	int *array = nullptr;
	size_t room = 0;
	for (size_t i = 0; i < 1000; i++) {
		size_t before = room;
		ASSERT_EQ(mem_grow(&array, &room, i + 1, sizeof *array, &err), 0);
		ASSERT_GT(room, i);
		if (before && room != before) {
			EXPECT_EQ(room, 2 * before);
		}
		array[i] = static_cast<int>(i);
	}
	for (int i = 0; i < 1000; i++)
		EXPECT_EQ(array[i], i);
	int *same = array;
	size_t room_before = room;
	EXPECT_EQ(mem_grow(&array, &room, 1, sizeof *array, &err), 0);
	EXPECT_EQ(array, same);
	EXPECT_EQ(room, room_before);
	free(array);
}

TEST(Mem, GrowThatFailsChangesNothing)
{
	struct err err = {};
	int *array = nullptr;
	size_t room = 0;
	ASSERT_EQ(mem_grow(&array, &room, 3, sizeof *array, &err), 0);
	array[2] = 7;
	int *same = array;
	for (size_t need : {SIZE_MAX, SIZE_MAX / sizeof *array, SIZE_MAX / sizeof *array + 1}) {
		err_clear(&err);
		EXPECT_EQ(mem_grow(&array, &room, need, sizeof *array, &err), -1);
		EXPECT_EQ(err.code, ERR_MEMORY);
		EXPECT_EQ(array, same);
		EXPECT_EQ(room, 3u);
		EXPECT_EQ(array[2], 7);
	}
	free(array);
}

TEST(Mem, GrowOfElementsWithoutSize)
{
	struct err err = {};
	char *array = nullptr;
	size_t room = 0;
	EXPECT_EQ(mem_grow(&array, &room, SIZE_MAX, 0, &err), 0);
	EXPECT_NE(array, nullptr);
	EXPECT_EQ(room, SIZE_MAX);
	free(array);
}

TEST(Arena, EveryPieceIsAlignedZeroedAndApart)
{
	struct err err = {};
	struct arena arena;
	std::vector<std::pair<unsigned char *, size_t>> pieces;
	arena_init(&arena);
	for (size_t size = 0; size < 60000; size = size * 3 / 2 + 1) {
		auto *piece = static_cast<unsigned char *>(arena_array(&arena, size, 1, &err));
		ASSERT_NE(piece, nullptr);
		EXPECT_TRUE(is_aligned(piece, alignof(std::max_align_t))) << size;
		EXPECT_TRUE(all_zero(piece, size));
		memset(piece, static_cast<int>(pieces.size() + 1), size);
		pieces.emplace_back(piece, size);
	}
	for (size_t i = 0; i < pieces.size(); i++) {
		for (size_t k = 0; k < pieces[i].second; k++)
			ASSERT_EQ(pieces[i].first[k], i + 1) << "piece " << i << " byte " << k;
	}
	arena_release(&arena);
	EXPECT_EQ(arena.head, nullptr);
}

TEST(Arena, EmptyPiecesAreDistinct)
{
	struct err err = {};
	struct arena arena;
	arena_init(&arena);
	void *first = arena_array(&arena, 0, 8, &err);
	void *second = arena_array(&arena, 8, 0, &err);
	EXPECT_NE(first, nullptr);
	EXPECT_NE(second, nullptr);
	EXPECT_NE(first, second);
	arena_release(&arena);
}

TEST(Arena, LargePieceLeavesTheCurrentBlockInUse)
{
	struct err err = {};
	struct arena arena;
	arena_init(&arena);
	auto *first = static_cast<char *>(arena_array(&arena, 16, 1, &err));
	memset(arena_array(&arena, 1 << 20, 1, &err), 1, 1 << 20);
	auto *next = static_cast<char *>(arena_array(&arena, 16, 1, &err));
	EXPECT_EQ(next, first + 16);
	arena_release(&arena);
}

TEST(Arena, SizesThatWrapAreRefused)
{
	struct err err = {};
	struct arena arena;
	arena_init(&arena);
	for (size_t n : {SIZE_MAX / 2, SIZE_MAX - 4, SIZE_MAX - 20, SIZE_MAX - 40}) {
		err_clear(&err);
		EXPECT_EQ(arena_array(&arena, n, n == SIZE_MAX / 2 ? 3 : 1, &err), nullptr);
		EXPECT_EQ(err.code, ERR_MEMORY);
	}
	EXPECT_NE(arena_array(&arena, 1, 1, &err), nullptr);
	arena_release(&arena);
}

TEST(Arena, StringsAreCopied)
{
	struct err err = {};
	struct arena arena;
	arena_init(&arena);
	EXPECT_STREQ(arena_strdup(&arena, "whole", &err), "whole");
	EXPECT_STREQ(arena_strdup(&arena, "", &err), "");
	EXPECT_STREQ(arena_strndup(&arena, "whole", 2, &err), "wh");
	EXPECT_STREQ(arena_strndup(&arena, "whole", 99, &err), "whole");
	arena_release(&arena);
}

// ---------------------------------------------------------------- file.h

// A directory of its own for every test.
class File : public testing::Test {
protected:
	void SetUp() override
	{
		std::string name = (fs::temp_directory_path() / "base_test.XXXXXX").string();
		ASSERT_NE(mkdtemp(name.data()), nullptr);
		directory = name;
	}

	void TearDown() override
	{
		fs::permissions(directory, fs::perms::owner_all);
		fs::remove_all(directory);
	}

	std::string path(const std::string &name) const
	{
		return (directory / name).string();
	}

	std::string put(const std::string &name, const std::string &content) const
	{
		std::ofstream(path(name), std::ios::binary) << content;
		return path(name);
	}

	static std::string get(const std::string &path)
	{
		std::ifstream file(path, std::ios::binary);
		return {std::istreambuf_iterator<char>(file), {}};
	}

	std::vector<std::string> names() const
	{
		std::vector<std::string> found;
		for (const auto &entry : fs::directory_iterator(directory))
			found.push_back(entry.path().filename().string());
		std::sort(found.begin(), found.end());
		return found;
	}

	// The file is refused by every reader, with this code, a message naming it, and no wait.
	static void expect_refused(const std::string &path, int code)
	{
		struct err err = {};
		unsigned char digest[HASH_SIZE];
		size_t n = 0;
		EXPECT_EQ(file_read(path.c_str(), 1000, &n, &err), nullptr);
		EXPECT_EQ(err.code, code) << err.message;
		EXPECT_NE(std::string(err.message).find("'" + path + "'"), std::string::npos) << err.message;
		err_clear(&err);
		EXPECT_EQ(file_open(path.c_str(), nullptr, &err), -1);
		EXPECT_EQ(err.code, code) << err.message;
		err_clear(&err);
		EXPECT_EQ(hash_file(digest, path.c_str(), &err), -1);
		EXPECT_EQ(err.code, code) << err.message;
	}

	fs::path directory;
	struct err err = {};
};

// Descriptors are given out lowest first, so a leak moves the next one.
int next_descriptor()
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(fd);
	return fd;
}

TEST_F(File, ReadGivesContentLengthAndFinalNul)
{
	const std::string contents[] = {"", "x", "a\0b\n"s, std::string(200000, 'z')};
	for (const std::string &content : contents) {
		size_t n = 99;
		auto bytes = own(file_read(put("in", content).c_str(), 200000, &n, &err));
		ASSERT_TRUE(bytes) << err.message;
		EXPECT_EQ(std::string(bytes.get(), n), content);
		EXPECT_EQ(bytes.get()[n], '\0');
	}
}

TEST_F(File, ReadOverTheLimitIsBadData)
{
	std::string in = put("in", "12345");
	size_t n;
	EXPECT_TRUE(own(file_read(in.c_str(), 5, &n, &err)));
	EXPECT_EQ(file_read(in.c_str(), 4, &n, &err), nullptr);
	EXPECT_EQ(err.code, ERR_DATA);
	EXPECT_EQ(err.message, "'" + in + "' holds 5 bytes; the limit is 4");
	EXPECT_TRUE(own(file_read(put("empty", "").c_str(), 0, &n, &err)));
}

TEST_F(File, ReadOfFilesThatDoNotTellTheirSize)
{
	// Files of /proc are regular and claim to be empty.
	size_t n = 0;
	auto bytes = own(file_read("/proc/self/status", 1 << 20, &n, &err));
	ASSERT_TRUE(bytes) << err.message;
	EXPECT_GT(n, 100u);
	EXPECT_EQ(file_read("/proc/self/status", 100, &n, &err), nullptr);
	EXPECT_EQ(err.code, ERR_DATA);
}

TEST_F(File, ReadFollowsLinksToRegularFiles)
{
	put("in", "content");
	fs::create_symlink("in", path("link"));
	size_t n;
	auto bytes = own(file_read(path("link").c_str(), 100, &n, &err));
	ASSERT_TRUE(bytes) << err.message;
	EXPECT_STREQ(bytes.get(), "content");
	fs::create_symlink("nowhere", path("dangling"));
	expect_refused(path("dangling"), ERR_NOINPUT);
}

TEST_F(File, ReadRefusesWhatIsNotARegularFile)
{
	ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
	put("in", "x");
	int before = next_descriptor();
	expect_refused(path("fifo"), ERR_NOINPUT);
	expect_refused(directory.string(), ERR_NOINPUT);
	expect_refused("/dev/zero", ERR_NOINPUT);
	expect_refused(path("missing"), ERR_NOINPUT);
	expect_refused(path("missing/in"), ERR_NOINPUT);
	expect_refused(path("in/below"), ERR_NOINPUT);
	expect_refused(path(std::string(300, 'n')), ERR_NOINPUT);
	expect_refused("", ERR_NOINPUT);
	EXPECT_EQ(next_descriptor(), before);
}

// Lays root's powers down for its own lifetime; permissions bind nobody who has them.
class Unprivileged {
public:
	explicit Unprivileged(const fs::path &directory)
	{
		const uid_t nobody = 65534;
		if (before == 0 && (chown(directory.c_str(), nobody, static_cast<gid_t>(-1)) || seteuid(nobody)))
			effective = false;
	}
	~Unprivileged()
	{
		if (geteuid() != before && seteuid(before))
			abort();
	}
	bool effective = true;

private:
	const uid_t before = geteuid();
};

TEST_F(File, ReadWithoutPermissionSaysSo)
{
	std::string in = put("in", "x");
	fs::permissions(in, fs::perms::none);
	Unprivileged user(directory);
	if (!user.effective)
		GTEST_SKIP() << "root without the right to become another user";
	expect_refused(in, ERR_NOPERM);
}

TEST_F(File, OpenTellsTheSize)
{
	size_t size = 0;
	int fd = file_open(put("in", "12345").c_str(), &size, &err);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(size, 5u);
	EXPECT_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

TEST_F(File, ReadSomeReportsFailure)
{
	char bytes[4];
	int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_EQ(file_read_some(fd, bytes, sizeof bytes, "name", &err), -1);
	EXPECT_EQ(err.code, ERR_IO);
	EXPECT_NE(std::string(err.message).find("'name'"), std::string::npos);
	close(fd);
}

TEST_F(File, SaveCreatesWithModeAndLeavesNothingElse)
{
	mode_t mask = umask(022);
	int before = next_descriptor();
	EXPECT_EQ(file_save(path("out").c_str(), "a\0b", 3, 0666, &err), 0) << err.message;
	umask(mask);
	EXPECT_EQ(get(path("out")), "a\0b"s);
	EXPECT_EQ(fs::status(path("out")).permissions(), fs::perms(0644));
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
	EXPECT_EQ(next_descriptor(), before);
}

TEST_F(File, SaveReplacesByRenaming)
{
	// A reader that has the old file open goes on seeing the old content: it was not written over.
	std::string out = put("out", "old content");
	int old = open(out.c_str(), O_RDONLY | O_CLOEXEC);
	char bytes[32] = "";
	EXPECT_EQ(file_save(out.c_str(), "new", 3, 0600, &err), 0) << err.message;
	EXPECT_EQ(get(out), "new");
	EXPECT_EQ(read(old, bytes, sizeof bytes), 11);
	EXPECT_STREQ(bytes, "old content");
	close(old);
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
}

TEST_F(File, SaveInTheWorkingDirectoryAndOfNothing)
{
	fs::path before = fs::current_path();
	fs::current_path(directory);
	EXPECT_EQ(file_save("out", nullptr, 0, 0600, &err), 0) << err.message;
	fs::current_path(before);
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
	EXPECT_EQ(fs::file_size(path("out")), 0u);
}

TEST_F(File, SaveUnderTheLongestName)
{
	std::string longest(255, 'n');
	EXPECT_EQ(file_save(path(longest).c_str(), "x", 1, 0600, &err), 0) << err.message;
	EXPECT_EQ(names(), std::vector<std::string>{longest});
	EXPECT_EQ(file_save(path(longest + "n").c_str(), "x", 1, 0600, &err), -1);
	EXPECT_EQ(err.code, ERR_CANTCREATE);
	EXPECT_EQ(names(), std::vector<std::string>{longest});
}

TEST_F(File, SaveRefusesWhatIsNotARegularFile)
{
	fs::create_directory(path("dir"));
	put("target", "t");
	fs::create_symlink("target", path("link"));
	// No real device is named here: should the refusal ever break, the test must not replace it.
	ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
	ASSERT_EQ(mknod(path("socket").c_str(), S_IFSOCK | 0600, 0), 0);
	std::vector<std::string> before = names();
	int descriptor = next_descriptor();
	for (const std::string &out : {path("dir"), path("link"), path("fifo"), path("socket"), path("dir") + "/",
	                               path("no/out"), path("target/out"), ""s}) {
		err_clear(&err);
		EXPECT_EQ(file_save(out.c_str(), "x", 1, 0600, &err), -1) << out;
		EXPECT_EQ(err.code, ERR_CANTCREATE) << err.message;
		EXPECT_NE(std::string(err.message).find("'" + out + "'"), std::string::npos) << err.message;
	}
	EXPECT_EQ(get(path("target")), "t");
	EXPECT_TRUE(fs::is_symlink(path("link")));
	EXPECT_EQ(names(), before);
	EXPECT_EQ(next_descriptor(), descriptor);
}

TEST_F(File, SaveIntoADirectoryThatCannotBeWritten)
{
	std::string out = put("out", "old");
	fs::permissions(directory, fs::perms::owner_read | fs::perms::owner_exec);
	Unprivileged user(directory);
	if (!user.effective)
		GTEST_SKIP() << "root without the right to become another user";
	EXPECT_EQ(file_save(out.c_str(), "new", 3, 0600, &err), -1);
	EXPECT_EQ(err.code, ERR_CANTCREATE);
	EXPECT_EQ(get(out), "old");
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
}

// Lowers the largest size of a file for its own lifetime; the write across it is first short, then fails.
class FileSizeLimit {
public:
	explicit FileSizeLimit(rlim_t bytes)
	{
		handler = signal(SIGXFSZ, SIG_IGN);
		getrlimit(RLIMIT_FSIZE, &old);
		struct rlimit lower = {bytes, old.rlim_max};
		setrlimit(RLIMIT_FSIZE, &lower);
	}
	~FileSizeLimit()
	{
		setrlimit(RLIMIT_FSIZE, &old);
		signal(SIGXFSZ, handler);
	}

private:
	struct rlimit old;
	void (*handler)(int);
};

TEST_F(File, SaveThatFailsKeepsTheOldFile)
{
	std::string out = put("out", "old");
	std::string big(100000, 'b');
	int before = next_descriptor();
	{
		FileSizeLimit limit(50000);
		EXPECT_EQ(file_save(out.c_str(), big.data(), big.size(), 0600, &err), -1);
	}
	EXPECT_EQ(err.code, ERR_IO) << err.message;
	EXPECT_EQ(err.message, "cannot write '" + out + "': " + strerror(EFBIG));
	EXPECT_EQ(get(out), "old");
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
	EXPECT_EQ(next_descriptor(), before);
}

TEST_F(File, WriterThatFailedRefusesToCommit)
{
	struct file_writer writer;
	std::string big(100000, 'b');
	ASSERT_EQ(file_writer_open(&writer, path("out").c_str(), 0600, &err), 0);
	{
		FileSizeLimit limit(50000);
		EXPECT_EQ(file_writer_write(&writer, "head", 4, &err), 0);
		EXPECT_EQ(file_writer_write(&writer, big.data(), big.size(), &err), -1);
	}
	EXPECT_EQ(file_writer_write(&writer, "tail", 4, &err), -1);
	EXPECT_EQ(file_writer_commit(&writer, &err), -1);
	EXPECT_EQ(err.code, ERR_INTERNAL);
	file_writer_abort(&writer);
	EXPECT_TRUE(names().empty());
}

TEST_F(File, WriterShowsNothingBeforeCommit)
{
	struct file_writer writer;
	std::string out = put("out", "old");
	ASSERT_EQ(file_writer_open(&writer, out.c_str(), 0600, &err), 0) << err.message;
	EXPECT_EQ(file_writer_write(&writer, "one ", 4, &err), 0);
	EXPECT_EQ(file_writer_write(&writer, "two", 3, &err), 0);
	EXPECT_EQ(get(out), "old");
	EXPECT_EQ(names().size(), 2u);
	EXPECT_EQ(file_writer_commit(&writer, &err), 0) << err.message;
	EXPECT_EQ(get(out), "one two");
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
	EXPECT_EQ(file_writer_commit(&writer, &err), -1);
}

static mode_t mode_of(const std::string &path)
{
	struct stat status;
	return stat(path.c_str(), &status) ? 0 : status.st_mode & 0777;
}

TEST_F(File, WriterGivesNoMorePermissionsThanThereWere)
{
	mode_t mask = umask(022);
	std::string out = put("out", "old");
	for (mode_t old : {0600, 0640, 0666}) {
		ASSERT_EQ(chmod(out.c_str(), old), 0);
		ASSERT_EQ(file_save(out.c_str(), "new", 3, 0666, &err), 0) << err.message;
		EXPECT_EQ(mode_of(out), old & 0644);
	}
	umask(mask);
}

TEST_F(File, OutputsAreAskedForBeforeWork)
{
	std::string out = put("out", "old"), linked = path("linked");
	ASSERT_EQ(link(out.c_str(), linked.c_str()), 0);
	EXPECT_EQ(file_check_output(out.c_str(), &err), 0) << err.message;
	EXPECT_EQ(file_check_output(path("nowhere/out").c_str(), &err), -1);
	EXPECT_EQ(err.code, ERR_CANTCREATE);
	EXPECT_EQ(file_expect_apart(out.c_str(), path("other").c_str(), &err), 0);
	EXPECT_EQ(file_expect_apart(linked.c_str(), out.c_str(), &err), -1);
	EXPECT_EQ(err.code, ERR_CANTCREATE);
	EXPECT_EQ(names(), (std::vector<std::string>{"linked", "out"}));
}

TEST_F(File, WriterAbortedLeavesNothing)
{
	struct file_writer writer;
	int before = next_descriptor();
	ASSERT_EQ(file_writer_open(&writer, path("out").c_str(), 0600, &err), 0) << err.message;
	EXPECT_EQ(file_writer_write(&writer, "half", 4, &err), 0);
	file_writer_abort(&writer);
	file_writer_abort(&writer);
	EXPECT_TRUE(names().empty());
	EXPECT_EQ(next_descriptor(), before);
}

TEST_F(File, TwoWritersOfOneNameDoNotMeet)
{
	struct file_writer first, second;
	ASSERT_EQ(file_writer_open(&first, path("out").c_str(), 0600, &err), 0);
	ASSERT_EQ(file_writer_open(&second, path("out").c_str(), 0600, &err), 0);
	EXPECT_EQ(file_writer_write(&first, "first", 5, &err), 0);
	EXPECT_EQ(file_writer_write(&second, "second", 6, &err), 0);
	EXPECT_EQ(file_writer_commit(&second, &err), 0);
	EXPECT_EQ(get(path("out")), "second");
	EXPECT_EQ(file_writer_commit(&first, &err), 0);
	EXPECT_EQ(get(path("out")), "first");
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
}

// The system's limits are no fault of the name.
TEST_F(File, OutputsTellALimitOfTheSystem)
{
	struct rlimit old, lower;
	getrlimit(RLIMIT_NOFILE, &old);
	for (int room : {0, 1}) { // for the directory, and for the file in it
		lower = {static_cast<rlim_t>(next_descriptor() + room), old.rlim_max};
		ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
		EXPECT_EQ(file_save(path("out").c_str(), "x", 1, 0600, &err), -1);
		setrlimit(RLIMIT_NOFILE, &old);
		EXPECT_EQ(err.code, ERR_MEMORY) << err.message;
	}
	EXPECT_TRUE(names().empty());
}

TEST_F(File, KilledWriterLeavesTheOldFileAndIsNotInTheWay)
{
	std::string out = put("out", "old");
	pid_t child = fork();
	if (child == 0) {
		struct file_writer writer;
		if (!file_writer_open(&writer, out.c_str(), 0600, &err) && !file_writer_write(&writer, "half", 4, &err))
			raise(SIGKILL);
		_exit(1);
	}
	int status = 0;
	ASSERT_EQ(waitpid(child, &status, 0), child);
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(get(out), "old");
	EXPECT_EQ(names().size(), 2u);
	// The next process may have the same number: a file under the name it would take is stepped over.
	std::string prefix = ".out." + std::to_string(getpid()) + ".";
	for (int i = 0; i < 200; i++)
		put(prefix + std::to_string(i) + ".tmp", "left");
	EXPECT_EQ(file_save(out.c_str(), "new", 3, 0600, &err), 0) << err.message;
	EXPECT_EQ(get(out), "new");
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(get(path(prefix + std::to_string(i) + ".tmp")), "left");
}

TEST_F(File, SaveSyncsTheFileBeforeAndTheDirectoryAfterRenaming)
{
	Faults faults;
	EXPECT_EQ(file_save(path("out").c_str(), "content", 7, 0600, &err), 0) << err.message;
	EXPECT_EQ(faults.calls, (std::vector<std::string>{"write", "sync file", "rename", "sync directory"}));
}

TEST_F(File, ShortAndInterruptedWritesGoOn)
{
	const std::string content = "0123456789";
	Faults faults;
	faults.longest_write = 3;
	faults.interruptions = 2;
	EXPECT_EQ(file_save(path("out").c_str(), content.data(), content.size(), 0600, &err), 0) << err.message;
	EXPECT_EQ(std::count(faults.calls.begin(), faults.calls.end(), "write"), 4);
	EXPECT_EQ(get(path("out")), content);
}

TEST_F(File, WriteThatWritesNothingIsAFailure)
{
	Faults faults;
	faults.longest_write = 0;
	EXPECT_EQ(file_save(path("out").c_str(), "x", 1, 0600, &err), -1);
	EXPECT_EQ(err.code, ERR_IO);
	EXPECT_TRUE(names().empty());
}

// A failing call before the rename: the old file stays, nothing is left aside, and a sync is not tried again.
TEST_F(File, EveryFailingCallKeepsTheOldFile)
{
	const struct {
		const char *call;
		int number, code;
		size_t calls; // up to and including the failing one
	} cases[] = {
		{"write", ENOSPC, ERR_IO, 1},  {"write", EDQUOT, ERR_IO, 1},  {"write", EIO, ERR_IO, 1},
		{"sync file", EIO, ERR_IO, 2}, {"sync file", ENOSPC, ERR_IO, 2}, {"sync file", EINTR, ERR_IO, 2},
		{"rename", EIO, ERR_IO, 3},    {"rename", ENOSPC, ERR_IO, 3},
		{"rename", EACCES, ERR_CANTCREATE, 3},
	};
	std::string out = put("out", "old");
	int before = next_descriptor();
	for (const auto &one : cases) {
		Faults faults;
		faults.failing = one.call;
		faults.number = one.number;
		err_clear(&err);
		EXPECT_EQ(file_save(out.c_str(), "new", 3, 0600, &err), -1);
		EXPECT_EQ(err.code, one.code) << err.message;
		EXPECT_NE(std::string(err.message).find(strerror(one.number)), std::string::npos) << err.message;
		EXPECT_EQ(faults.calls.size(), one.calls) << one.call;
		EXPECT_EQ(get(out), "old");
		EXPECT_EQ(names(), std::vector<std::string>{"out"});
	}
	EXPECT_EQ(next_descriptor(), before);
}

TEST_F(File, DirectoryThatDoesNotSync)
{
	std::string out = put("out", "old");
	Faults faults;
	faults.failing = "sync directory";
	faults.number = EIO;
	EXPECT_EQ(file_save(out.c_str(), "new", 3, 0600, &err), -1);
	EXPECT_EQ(err.code, ERR_IO);
	EXPECT_EQ(get(out), "new");
	EXPECT_EQ(file_sync_dir(directory.c_str(), &err), -1);
	// A file system without this operation is no failure.
	faults.number = EINVAL;
	EXPECT_EQ(file_save(out.c_str(), "newer", 5, 0600, &err), 0);
	EXPECT_EQ(file_sync_dir(directory.c_str(), &err), 0);
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
}

TEST_F(File, CommitOverADirectoryFailsCleanly)
{
	struct file_writer writer;
	ASSERT_EQ(file_writer_open(&writer, path("out").c_str(), 0600, &err), 0);
	fs::create_directory(path("out"));
	EXPECT_EQ(file_writer_commit(&writer, &err), -1);
	EXPECT_EQ(err.code, ERR_CANTCREATE) << err.message;
	EXPECT_EQ(names(), std::vector<std::string>{"out"});
}

TEST_F(File, TheNameOfANewDirectoryIsSynced)
{
	Faults faults;
	EXPECT_EQ(tree_make(path("new").c_str(), 0700, &err), 0) << err.message;
	EXPECT_EQ(faults.calls, std::vector<std::string>{"sync directory"});
	EXPECT_EQ(tree_make(path("new").c_str(), 0700, &err), 0) << err.message;
	EXPECT_EQ(faults.calls.size(), 1u);
	faults.failing = "sync directory";
	faults.number = EIO;
	EXPECT_EQ(tree_make(path("newer").c_str(), 0700, &err), -1);
	EXPECT_EQ(err.code, ERR_IO);
}

TEST_F(File, AsidesOfTheDeadAreRemoved)
{
	pid_t dead = fork(), alive = dead ? fork() : 0;
	if (dead == 0)
		_exit(0);
	if (alive == 0) {
		pause();
		_exit(0);
	}
	ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
	const std::string of_dead = "." + std::to_string(dead) + ".0.tmp";
	const std::string of_alive = "." + std::to_string(alive) + ".0.tmp";
	std::vector<std::string> stay = {".out" + of_dead + "l", ".out.0.tmp", ".out.99999999999.0.tmp", ".out.x.0.tmp",
					 ".tmp", "below", "out", "out" + of_dead};
	for (const std::string &name : stay)
		if (name != "below")
			put(name, "kept");
	fs::create_directory(path("below"));
	put(".out" + of_dead, "half");
	put(".a.1.b." + std::to_string(getpid()) + ".12.tmp", "of one before with this number");
	put(".out" + of_alive, "in work");
	put("below/.out" + of_dead, "half");
	EXPECT_EQ(tree_remove_asides(directory.c_str(), false, &err), 0) << err.message;
	kill(alive, SIGKILL);
	EXPECT_EQ(get(path(".out" + of_alive)), "in work");
	EXPECT_EQ(get(path("below/.out" + of_dead)), "half");
	EXPECT_EQ(names().size(), stay.size() + 1);
	EXPECT_EQ(tree_remove_asides(directory.c_str(), true, &err), 0) << err.message;
	std::sort(stay.begin(), stay.end());
	EXPECT_EQ(names(), stay);
	EXPECT_TRUE(fs::is_empty(path("below")));
	waitpid(alive, nullptr, 0);
}

TEST_F(File, SyncDirectory)
{
	EXPECT_EQ(file_sync_dir(directory.c_str(), &err), 0) << err.message;
	EXPECT_EQ(file_sync_dir(path("missing").c_str(), &err), -1);
	EXPECT_EQ(err.code, ERR_IO);
	EXPECT_EQ(file_sync_dir(put("in", "").c_str(), &err), -1);
}

// ---------------------------------------------------------------- hash.h

std::string hex_of(const std::string &bytes)
{
	struct err err = {};
	unsigned char digest[HASH_SIZE];
	char hex[HASH_HEX_ROOM];
	EXPECT_EQ(hash_bytes(digest, bytes.data(), bytes.size(), &err), 0) << err.message;
	hash_hex(hex, digest);
	return hex;
}

// The examples of FIPS 180-2, appendix B, and the empty message.
const char *const million_a = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Hash, PublishedDigests)
{
	EXPECT_EQ(hex_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	EXPECT_EQ(hex_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	EXPECT_EQ(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
	          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	EXPECT_EQ(hex_of(std::string(1000000, 'a')), million_a);
}

TEST(Hash, PiecesGiveTheSameDigest)
{
	struct err err = {};
	struct hash hash;
	unsigned char digest[HASH_SIZE];
	char hex[HASH_HEX_ROOM];
	std::string text(1000000, 'a');
	ASSERT_EQ(hash_init(&hash, &err), 0) << err.message;
	for (size_t at = 0, n = 0; at < text.size(); at += n, n = n * 2 + 1) {
		n = std::min(n, text.size() - at);
		ASSERT_EQ(hash_update(&hash, text.data() + at, n, &err), 0);
	}
	ASSERT_EQ(hash_final(digest, &hash, &err), 0);
	hash_release(&hash);
	EXPECT_EQ(hash.context, nullptr);
	hash_hex(hex, digest);
	EXPECT_STREQ(hex, million_a);
}

TEST_F(File, HashOfAFile)
{
	unsigned char digest[HASH_SIZE];
	char hex[HASH_HEX_ROOM];
	ASSERT_EQ(hash_file(digest, put("in", std::string(1000000, 'a')).c_str(), &err), 0) << err.message;
	hash_hex(hex, digest);
	EXPECT_STREQ(hex, million_a);
	ASSERT_EQ(hash_file(digest, put("in", "").c_str(), &err), 0) << err.message;
	hash_hex(hex, digest);
	EXPECT_EQ(hex, hex_of(""));
}

// ---------------------------------------------------------------- progress.h

double fake_seconds;

int fake_clock(clockid_t id, struct timespec *now)
{
	// The wall clock starts at 2026-01-31T12:00:00Z when the monotonic one stands at 0.
	double seconds = fake_seconds + (id == CLOCK_REALTIME ? 1769860800.0 : 0.0);
	now->tv_sec = static_cast<time_t>(seconds);
	now->tv_nsec = static_cast<long>((seconds - static_cast<double>(now->tv_sec)) * 1e9);
	return 0;
}

class Progress : public testing::Test {
protected:
	void SetUp() override
	{
		fake_seconds = 0;
		output.sink = collect;
		output.context = &lines;
		output.clock = fake_clock;
	}

	static void collect(void *context, const char *text, size_t n)
	{
		static_cast<std::vector<std::string> *>(context)->emplace_back(text, n);
	}

	void add(double seconds, uint64_t n)
	{
		fake_seconds += seconds;
		progress_add(&progress, n);
	}

	std::vector<std::string> lines;
	struct progress_output output = {};
	struct progress progress;
};

using Lines = std::vector<std::string>;

TEST_F(Progress, PlainLinesTwoSecondsApart)
{
	progress_begin(&progress, &output, "score", "rows", 10000, 0);
	add(1.5, 1000);
	EXPECT_EQ(lines, Lines{});
	add(0.5, 1000);
	add(1.75, 1000);
	add(0.25, 1000);
	EXPECT_EQ(lines, (Lines{
		"2026-01-31T12:00:02Z score: 2000 of 10000 rows (20 %), 1.00 k rows/s, 8s left\n",
		"2026-01-31T12:00:04Z score: 4000 of 10000 rows (40 %), 1.00 k rows/s, 6s left\n",
	}));
	lines.clear();
	add(1, 6000);
	progress_finish(&progress);
	EXPECT_EQ(lines, (Lines{"2026-01-31T12:00:05Z score: 10000 of 10000 rows (100 %) in 5s, 2.00 k rows/s\n"}));
}

TEST_F(Progress, PlainLinesAtAnotherInterval)
{
	output.every = 30;
	progress_begin(&progress, &output, "train", "steps", 8, 0);
	add(29, 1);
	EXPECT_EQ(lines, Lines{});
	add(1, 1);
	EXPECT_EQ(lines, (Lines{"2026-01-31T12:00:30Z train: 2 of 8 steps (25 %), 0.067 steps/s, 1m30s left\n"}));
}

TEST_F(Progress, TerminalRewritesOneLine)
{
	output.terminal = true;
	progress_begin(&progress, &output, "score", "rows", 10000, 0);
	add(0.05, 500);
	add(0.95, 4000);
	add(0.05, 100);
	add(0.95, 5400);
	progress_finish(&progress);
	EXPECT_EQ(lines, (Lines{
		"\rscore [--------------------] 0/10000 rows\033[K",
		"\rscore [#########-----------] 4500/10000 rows, 4.50 k rows/s, 1s left\033[K",
		"\rscore [####################] 10000/10000 rows, 5.00 k rows/s\033[K",
		"\rscore: 10000 of 10000 rows (100 %) in 2s, 5.00 k rows/s\033[K\n",
	}));
}

TEST_F(Progress, TerminalLineIsCutToTheColumns)
{
	output.terminal = true;
	output.columns = 20;
	progress_begin(&progress, &output, "caf\xC3\xA9 caf\xC3\xA9 caf\xC3\xA9 \xC3\xA9\xC3\xA9", "rows", 10, 0);
	EXPECT_EQ(lines, (Lines{"\rcaf\xC3\xA9 caf\xC3\xA9 caf\xC3\xA9 \033[K"}));
}

TEST_F(Progress, WithoutTotalThereIsNoBarAndNoTimeLeft)
{
	progress_begin(&progress, &output, "read", "rows", 0, 0);
	add(2, 500);
	output.terminal = true;
	add(2, 500);
	output.terminal = false;
	progress_finish(&progress);
	EXPECT_EQ(lines, (Lines{
		"2026-01-31T12:00:02Z read: 500 rows, 250 rows/s\n",
		"\rread 1000 rows, 250 rows/s\033[K",
		"2026-01-31T12:00:04Z read: 1000 rows in 4s, 250 rows/s\n",
	}));
}

TEST_F(Progress, EarlierWorkDoesNotCountForTheRate)
{
	progress_begin(&progress, &output, "train", "steps", 100, 40);
	add(4, 4);
	EXPECT_EQ(lines, (Lines{"2026-01-31T12:00:04Z train: 44 of 100 steps (44 %), 1.00 steps/s, 56s left\n"}));
}

TEST_F(Progress, NoRateWhileNothingIsDone)
{
	progress_begin(&progress, &output, "train", "steps", 100, 40);
	add(2, 0);
	progress_finish(&progress);
	EXPECT_EQ(lines, (Lines{
		"2026-01-31T12:00:02Z train: 40 of 100 steps (40 %)\n",
		"2026-01-31T12:00:02Z train: 40 of 100 steps (40 %) in 2s\n",
	}));
}

TEST_F(Progress, MoreThanTheTotalIsFull)
{
	progress_begin(&progress, &output, "score", "rows", 10, 0);
	add(2, 15);
	output.terminal = true;
	add(2, 1);
	EXPECT_EQ(lines, (Lines{
		"2026-01-31T12:00:02Z score: 15 of 10 rows (100 %), 7.50 rows/s\n",
		"\rscore [####################] 16/10 rows, 4.00 rows/s\033[K",
	}));
}

TEST_F(Progress, LabelIsMadeSafe)
{
	progress_begin(&progress, &output, "a\033[2J\nb\tc", "rows", 1, 0);
	progress_finish(&progress);
	EXPECT_EQ(lines, (Lines{"2026-01-31T12:00:00Z a\\x1B[2J b c: 0 of 1 rows (0 %) in 0s\n"}));
}

TEST_F(Progress, LongestPartsStayOneLine)
{
	std::string label(5000, 'l'), unit(5000, 'u');
	progress_begin(&progress, &output, label.c_str(), unit.c_str(), UINT64_MAX, 0);
	add(1e9, UINT64_MAX / 2);
	progress_finish(&progress);
	ASSERT_EQ(lines.size(), 2u);
	for (const std::string &line : lines) {
		EXPECT_LT(line.size(), 600u);
		EXPECT_EQ(line.find('\n'), line.size() - 1);
	}
}

TEST_F(Progress, NothingAfterTheLastLine)
{
	progress_begin(&progress, &output, "score", "rows", 10, 0);
	progress_finish(&progress);
	ASSERT_EQ(lines.size(), 1u);
	add(100, 10);
	progress_finish(&progress);
	EXPECT_EQ(lines.size(), 1u);
}

TEST_F(Progress, SilentWithoutOutputOrSink)
{
	output.sink = nullptr;
	for (const struct progress_output *none : {static_cast<const struct progress_output *>(nullptr),
	                                           static_cast<const struct progress_output *>(&output)}) {
		progress_begin(&progress, none, "score", "rows", 10, 0);
		add(10, 5);
		EXPECT_EQ(progress.done, 5u);
		progress_finish(&progress);
	}
	EXPECT_EQ(lines, Lines{});
}

TEST_F(Progress, TheSystemClockIsTheDefault)
{
	output.clock = nullptr;
	output.every = 1e-9;
	progress_begin(&progress, &output, "score", "rows", 10, 0);
	usleep(1000);
	progress_add(&progress, 10);
	ASSERT_EQ(lines.size(), 1u);
	EXPECT_EQ(lines[0].substr(0, 2), "20");
	EXPECT_NE(lines[0].find(" rows/s"), std::string::npos) << lines[0];
}

TEST(Rate, ThreeDigitsAndAPrefix)
{
	const struct {
		double rate;
		const char *text;
	} cases[] = {
		{0, "0.000 rows/s"},        {0.005, "0.005 rows/s"},     {0.0996, "0.10 rows/s"},
		{1, "1.00 rows/s"},         {9.994, "9.99 rows/s"},      {9.996, "10.0 rows/s"},
		{99.94, "99.9 rows/s"},     {99.96, "100 rows/s"},       {999.4, "999 rows/s"},
		{999.6, "1.00 k rows/s"},   {12345, "12.3 k rows/s"},    {999400, "999 k rows/s"},
		{999600, "1.00 M rows/s"},  {2.5e9, "2.50 G rows/s"},    {7e12, "7.00 T rows/s"},
		{7e15, "7000 T rows/s"},
	};
	char out[64];
	for (const auto &one : cases)
		EXPECT_STREQ(progress_rate(out, sizeof out, one.rate, "rows"), one.text) << one.rate;
	EXPECT_STREQ(progress_rate(out, 5, 12345, "rows"), "12.3");
}

TEST(Duration, HoursMinutesSeconds)
{
	const struct {
		double seconds;
		const char *text;
	} cases[] = {
		{-5, "0s"},           {0, "0s"},          {0.4, "0s"},           {12, "12s"},       {59.4, "59s"},
		{59.6, "1m00s"},      {185, "3m05s"},     {3599.4, "59m59s"},    {3600, "1h00m"},   {3725, "1h02m"},
		{360000, "100h00m"},  {1e30, "9999h59m"}, {INFINITY, "9999h59m"}, {NAN, "9999h59m"},
	};
	char out[32];
	for (const auto &one : cases)
		EXPECT_STREQ(progress_duration(out, sizeof out, one.seconds), one.text) << one.seconds;
}

// ---------------------------------------------------------------- text.h

std::string escaped(const std::string &text, size_t room = 4096)
{
	// Exactly `room` bytes of heap, so that a write past them is found by the sanitizer.
	auto bytes = own(static_cast<char *>(malloc(room)));
	EXPECT_EQ(text_escape(bytes.get(), room, text.data(), text.size()), bytes.get());
	return bytes.get();
}

TEST(Text, PrintableTextStaysAsItIs)
{
	for (const std::string &text : {""s, "plain \\ text"s, "tab\tand\nnewline"s,
	                                "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82"s,
	                                "\xC2\xA0"s, "\xE2\x80\xA9"s, "\xE2\x80\xAF"s, "\xE2\x81\xA5"s,
	                                "\xE2\x81\xAA"s, "~"s})
		EXPECT_EQ(escaped(text), text);
}

TEST(Text, OnOneLineNothingBegins)
{
	char out[64];
	EXPECT_STREQ(text_escape_line(out, sizeof out, "a\tb\n\033c", 6), "a b \\x1Bc");
}

TEST(Text, ControlsAreEscaped)
{
	EXPECT_EQ(escaped("a\033[31mred"), "a\\x1B[31mred");
	EXPECT_EQ(escaped("\0\x01\x08\x0B\x0C\r\x1F\x7F"s), "\\x00\\x01\\x08\\x0B\\x0C\\x0D\\x1F\\x7F");
	EXPECT_EQ(escaped("\xC2\x80 \xC2\x9B \xC2\x9F"), "\\xC2\\x80 \\xC2\\x9B \\xC2\\x9F");
}

TEST(Text, BidirectionalControlsAreEscaped)
{
	EXPECT_EQ(escaped("\xE2\x80\xAA\xE2\x80\xAE"), "\\xE2\\x80\\xAA\\xE2\\x80\\xAE");
	EXPECT_EQ(escaped("\xE2\x81\xA6\xE2\x81\xA9"), "\\xE2\\x81\\xA6\\xE2\\x81\\xA9");
}

TEST(Text, BytesThatAreNotUtf8AreEscapedOneByOne)
{
	EXPECT_EQ(escaped("\xC3(\xFF\xE2\x82"), "\\xC3(\\xFF\\xE2\\x82");
	EXPECT_EQ(escaped("\xC3"), "\\xC3");
	EXPECT_EQ(escaped("\xED\xA0\x80\xC3\xA9"), "\\xED\\xA0\\x80\xC3\xA9");
}

TEST(Text, EscapeIsCutBetweenCharacters)
{
	EXPECT_EQ(escaped("abcdef", 7), "abcdef");
	EXPECT_EQ(escaped("abcdef", 6), "ab...");
	EXPECT_EQ(escaped("abcdef", 4), "...");
	EXPECT_EQ(escaped("\x01\x02", 9), "\\x01\\x02");
	EXPECT_EQ(escaped("\x01\x02", 8), "\\x01...");
	EXPECT_EQ(escaped("\x01\x02", 7), "...");
	EXPECT_EQ(escaped("\xC3\xA9\xC3\xA9\xC3\xA9", 6), "\xC3\xA9...");
	EXPECT_EQ(escaped("", 1), "");
	std::string worst(1000, '\xFF');
	EXPECT_EQ(escaped(worst, 4 * worst.size() + 1).size(), 4 * worst.size());
}

TEST(Text, CharacterLengths)
{
	const struct {
		std::string text;
		size_t length;
	} cases[] = {
		// first and last code point of each length, and the neighbours of the surrogates
		{"\0"s, 1}, {"\x7F", 1}, {"\xC2\x80", 2}, {"\xDF\xBF", 2}, {"\xE0\xA0\x80", 3}, {"\xED\x9F\xBF", 3},
		{"\xEE\x80\x80", 3}, {"\xEF\xBF\xBF", 3}, {"\xF0\x90\x80\x80", 4}, {"\xF4\x8F\xBF\xBF", 4},
		{"a\xC3\xA9", 1}, {"\xC3\xA9z", 2},
		// overlong
		{"\xC0\x80", 0}, {"\xC1\xBF", 0}, {"\xE0\x9F\xBF", 0}, {"\xF0\x8F\xBF\xBF", 0},
		// surrogates, above U+10FFFF
		{"\xED\xA0\x80", 0}, {"\xED\xBF\xBF", 0}, {"\xF4\x90\x80\x80", 0}, {"\xF5\x80\x80\x80", 0}, {"\xFF", 0},
		// lone continuation, wrong continuation, cut short
		{"\x80", 0}, {"\xBF", 0}, {"\xC3\x28", 0}, {"\xE2\x82\x28", 0}, {"\xF0\x9F\x99\xC3", 0},
		{"\xC3", 0}, {"\xE2\x82", 0}, {"\xF0\x9F\x99", 0}, {"", 0},
	};
	for (const auto &one : cases) {
		// An exact copy, so that reading past the end is found by the sanitizer.
		std::vector<char> bytes(one.text.begin(), one.text.end());
		EXPECT_EQ(text_utf8_length(bytes.data(), bytes.size()), one.length) << testing::PrintToString(one.text);
	}
}

TEST(Text, ValidTellsTheFirstBadByte)
{
	const std::string good = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82z"s + '\0' + "end";
	EXPECT_EQ(text_utf8_valid(good.data(), good.size()), good.size());
	EXPECT_EQ(text_utf8_valid("", 0), 0u);
	EXPECT_EQ(text_utf8_valid(nullptr, 0), 0u);
	for (const char *bad : {"\x80", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
		std::string text = good + bad;
		EXPECT_EQ(text_utf8_valid(text.data(), text.size()), good.size());
		text += good;
		EXPECT_EQ(text_utf8_valid(text.data(), text.size()), good.size());
	}
}

// Every code point, encoded by the definition of RFC 3629, section 3; and every three-byte text against it.
TEST(Text, AgreesWithTheDefinitionEverywhere)
{
	std::vector<bool> three(1 << 24);
	for (uint32_t code = 0; code <= 0x1FFFFF; code++) {
		std::string text;
		if (code < 0x80)
			text = {static_cast<char>(code)};
		else if (code < 0x800)
			text = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
		else if (code < 0x10000)
			text = {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F)),
			        static_cast<char>(0x80 | (code & 0x3F))};
		else
			text = {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 0x3F)),
			        static_cast<char>(0x80 | (code >> 6 & 0x3F)), static_cast<char>(0x80 | (code & 0x3F))};
		bool good = code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
		ASSERT_EQ(text_utf8_length(text.data(), text.size()), good ? text.size() : 0) << std::hex << code;
		if (good && text.size() == 3)
			three[static_cast<unsigned char>(text[0]) << 16 | static_cast<unsigned char>(text[1]) << 8 |
			      static_cast<unsigned char>(text[2])] = true;
	}
	for (uint32_t bytes = 0xE00000; bytes < 0xF00000; bytes++) {
		char text[] = {static_cast<char>(bytes >> 16), static_cast<char>(bytes >> 8), static_cast<char>(bytes)};
		ASSERT_EQ(text_utf8_length(text, 3), three[bytes] ? 3u : 0u) << std::hex << bytes;
	}
}

} // namespace
