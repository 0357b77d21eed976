// SPDX-License-Identifier: Apache-2.0
// Certificates: a request goes to the server named, or it does not go. The
// server is openssl's own; without that program these tests are skipped.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/wait.h>

#include "tests/teacher_mock.h"
#include "tests/temporary.h"

// The name in the certificates is this machine.
extern "C" int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	using Function = int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	static Function real = (Function)dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name && !strcmp(name, "here.test") ? "127.0.0.1" : name, service, hints, out);
}

namespace
{

const char *const YEARS_GOOD[] = {"20200101000000Z", "20990101000000Z"};
const char *const YEARS_OVER[] = {"20010101000000Z", "20020101000000Z"};

// A self-signed certificate for one name and its key, in a directory.
bool certify(const Temporary &dir, const std::string &name, const char *const years[2])
{
	write_file(dir / "conf", "[ca]\ndefault_ca=d\n[d]\ndatabase=" + dir.path + "/index\nserial=" + dir.path +
					 "/serial\nnew_certs_dir=" + dir.path +
					 "\ndefault_md=sha256\npolicy=p\nx509_extensions=e\nunique_subject=no\n"
					 "[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:" +
					 name + "\n");
	write_file(dir / "index", "");
	std::string in = "cd '" + dir.path + "' && ";
	std::string make = in +
			   "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key "
			   "-subj /CN=" +
			   name +
			   " -out request >log 2>&1 && "
			   "openssl ca -selfsign -batch -notext -create_serial -config conf -keyfile key -in request "
			   "-out cert -startdate " +
			   years[0] + " -enddate " + years[1] + " >>log 2>&1";
	return system(make.c_str()) == 0;
}

// openssl s_server: what it reads goes to a file, what it answers comes from a pipe.
struct TlsServer {
	const Temporary &dir;
	pid_t child = -1;
	int answers = -1, port = 0;

	TlsServer(const Temporary &dir_, std::vector<std::string> more = {}) : dir(dir_)
	{
		int ends[2];
		if (pipe2(ends, O_CLOEXEC))
			throw std::runtime_error("no pipe");
		std::string cert = dir / "cert", key = dir / "key", log = dir / "seen";
		std::vector<std::string> words = {"openssl", "s_server", "-accept", "127.0.0.1:0",
						  "-cert",   cert,       "-key",    key};
		words.insert(words.end(), more.begin(), more.end());
		std::vector<char *> argv;
		for (std::string &word : words)
			argv.push_back(word.data());
		argv.push_back(nullptr);
		write_file(log, "");
		child = fork();
		if (child == 0) {
			int out = open(log.c_str(), O_WRONLY | O_APPEND);
			dup2(ends[0], 0);
			dup2(out, 1);
			dup2(out, 2);
			execvp(argv[0], argv.data());
			_exit(127);
		}
		close(ends[0]);
		answers = ends[1];
		for (int i = 0; i < 500 && !port; i++) {
			size_t at = seen().find("ACCEPT 127.0.0.1:");
			port = at == std::string::npos ? 0 : atoi(seen().c_str() + at + 17);
			usleep(10 * 1000);
		}
	}
	TlsServer(const TlsServer &) = delete;
	~TlsServer()
	{
		close(answers);
		kill(child, SIGKILL);
		waitpid(child, nullptr, 0);
	}
	std::string seen() const
	{
		return read_file(dir / "seen");
	}
	int receipts() const
	{
		int n = 0;
		std::string all = seen();
		for (size_t at = 0; (at = all.find("POST /v1/chat/completions", at)) != std::string::npos; at++)
			n++;
		return n;
	}
	std::string url(const std::string &host = "here.test") const
	{
		return "https://" + host + ":" + std::to_string(port) + "/v1";
	}
};

class Tls : public testing::Test
{
      protected:
	void SetUp() override
	{
		if (system("openssl version >/dev/null 2>&1"))
			GTEST_SKIP() << "no openssl program";
	}
	Temporary dir;
};

void expect_refused(const Asked &asked, const TlsServer &server, const char *reason)
{
	ASSERT_EQ(asked.replies, 1);
	EXPECT_EQ(asked.outcome.state, TEACHER_RELEASED) << asked.exchange.detail;
	EXPECT_EQ(asked.outcome.stop, 76);
	EXPECT_FALSE(asked.outcome.retry);
	EXPECT_STREQ(asked.outcome.reason, reason) << asked.exchange.detail;
	EXPECT_EQ(asked.exchange.sent, 0u);
	EXPECT_EQ(server.receipts(), 0);
	EXPECT_FALSE(shows_key(server.seen()));
}

TEST_F(Tls, H06UnknownAuthority)
{
	ASSERT_TRUE(certify(dir, "here.test", YEARS_GOOD)) << read_file(dir / "log");
	TlsServer server(dir);
	Client client(server.url());
	expect_refused(client.ask(), server, "certificate");
}

TEST_F(Tls, H07Expired)
{
	ASSERT_TRUE(certify(dir, "here.test", YEARS_OVER)) << read_file(dir / "log");
	TlsServer server(dir);
	Client client(server.url());
	std::string ca = dir / "cert";
	client.config.http.ca_file = ca.c_str();
	expect_refused(client.ask(), server, "certificate");
}

TEST_F(Tls, H08WrongHost)
{
	ASSERT_TRUE(certify(dir, "other.test", YEARS_GOOD)) << read_file(dir / "log");
	TlsServer server(dir);
	Client client(server.url());
	std::string ca = dir / "cert";
	client.config.http.ca_file = ca.c_str();
	expect_refused(client.ask(), server, "certificate");
}

TEST_F(Tls, OldVersionsAreRefused)
{
	ASSERT_TRUE(certify(dir, "here.test", YEARS_GOOD)) << read_file(dir / "log");
	TlsServer server(dir, {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"});
	if (!server.port)
		GTEST_SKIP() << "this openssl serves no TLS 1.1";
	Client client(server.url());
	std::string ca = dir / "cert";
	client.config.http.ca_file = ca.c_str();
	expect_refused(client.ask(), server, "no tls");
}

// The same server with nothing wrong: the request arrives, once, and its answer comes back.
TEST_F(Tls, GoodServer)
{
	ASSERT_TRUE(certify(dir, "here.test", YEARS_GOOD)) << read_file(dir / "log");
	TlsServer server(dir, {"-alpn", "h2,http/1.1"});
	Client client(server.url());
	std::string ca = dir / "cert", bytes = reply("200 OK", "", answer());
	client.config.http.ca_file = ca.c_str();
	std::thread answering([&] {
		for (int i = 0; i < 1000 && !server.receipts(); i++)
			usleep(10 * 1000);
		EXPECT_EQ(write(server.answers, bytes.data(), bytes.size()), (ssize_t)bytes.size());
	});
	Asked asked = client.ask();
	answering.join();
	EXPECT_EQ(asked.outcome.state, TEACHER_ANSWERED) << asked.exchange.detail;
	EXPECT_EQ(asked.content, "yes");
	EXPECT_EQ(server.receipts(), 1);
	std::string seen = server.seen();
	EXPECT_NE(seen.find("ALPN protocols advertised by the client: http/1.1"), std::string::npos) << seen;
	EXPECT_EQ(seen.find("client: h2"), std::string::npos);
}

} // namespace
