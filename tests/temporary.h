// SPDX-License-Identifier: Apache-2.0
/*
 * temporary.h - a directory of a test's own, removed with all its files at the
 * end of the scope, and whole files as strings.
 *
 *     Temporary dir;
 *     write_file(dir / "config.json", "{}");
 */
#ifndef BALDISTILL_TESTS_TEMPORARY_H
#define BALDISTILL_TESTS_TEMPORARY_H

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

/* Sanitizers keep shadows of all memory: what a process holds then says nothing. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TESTS_HAVE_SHADOW 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(TESTS_HAVE_SHADOW)
enum { MEASURED_WITH_SHADOW = 1 };
#else
enum { MEASURED_WITH_SHADOW = 0 };
#endif

inline void write_file(const std::string &path, const std::string &bytes)
{
	std::ofstream out(path, std::ios::binary | std::ios::trunc);
	out.write(bytes.data(), (std::streamsize)bytes.size());
	out.close();
	if (!out)
		throw std::runtime_error("cannot write " + path);
}

inline std::string read_file(const std::string &path)
{
	std::ifstream in(path, std::ios::binary);
	return {std::istreambuf_iterator<char>(in), {}};
}

struct Temporary {
	std::string path;

	Temporary()
	{
		std::string name = (std::filesystem::temp_directory_path() / "baldistill-XXXXXX").string();
		if (!mkdtemp(name.data()))
			throw std::runtime_error("cannot make " + name);
		path = name;
	}
	Temporary(const Temporary &) = delete;
	~Temporary()
	{
		std::error_code ignored;
		std::filesystem::remove_all(path, ignored);
	}
	std::string operator/(const std::string &name) const
	{
		return path + "/" + name;
	}
	/* Names of all entries, sorted. */
	std::vector<std::string> files() const
	{
		std::vector<std::string> names;
		for (const auto &entry : std::filesystem::directory_iterator(path))
			names.push_back(entry.path().filename().string());
		std::sort(names.begin(), names.end());
		return names;
	}
};

/* Most of the time of these tests would be syncs that prove nothing: use a disk in memory where there is room. */
struct QuickDirectory {
	QuickDirectory()
	{
		struct statvfs status;
		if (!statvfs("/dev/shm", &status) && (uint64_t)status.f_bavail * status.f_frsize > (512u << 20) &&
		    !access("/dev/shm", W_OK))
			setenv("TMPDIR", "/dev/shm", 0);
	}
};

#endif
