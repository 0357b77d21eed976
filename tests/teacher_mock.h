// SPDX-License-Identifier: Apache-2.0
/*
 * teacher_mock.h - a teacher's server made of raw sockets, and one who asks it.
 *
 *     Mock mock([](Connection &c) {
 *             if (c.read_request())
 *                     c.send(reply("200 OK", "", answer("yes")));
 *     });
 *     Asked asked = ask_once(mock.url());
 *     EXPECT_EQ(mock.receipts, 1);
 *
 * Each connection runs the script in a thread of its own. receipts counts the
 * requests that arrived whole: what a provider would bill.
 */
#ifndef BALDISTILL_TESTS_TEACHER_MOCK_H
#define BALDISTILL_TESTS_TEACHER_MOCK_H

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/teacher/teacher.h"

inline const char *const CANARY = "sk-CANARY-4f1c9a77b2e84d05-never-shown";

struct Mock;

struct Connection {
	Mock &mock;
	int fd;
	std::string request; /* the last one read, head and body */
	int served = 0;      /* requests read on this connection */

	/* Wait for something to read; false when the mock stops or time is over. */
	bool wait_readable(int ms);
	/* Read one whole request and count it; false if the client went away before. */
	bool read_request();
	/* As much as the socket takes; false when the client is gone. */
	bool send(const std::string &bytes)
	{
		for (size_t at = 0; at < bytes.size();) {
			ssize_t n = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
			if (n <= 0)
				return false;
			at += (size_t)n;
		}
		return true;
	}
	/* Close with RST instead of FIN. */
	void reset()
	{
		struct linger linger = {1, 0};
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	}
	/* Do nothing until the client goes away. */
	void hang()
	{
		char byte;
		while (wait_readable(20000) && recv(fd, &byte, 1, 0) > 0)
			;
	}
};

struct Mock {
	using Script = std::function<void(Connection &)>;

	std::atomic<int> connections{0}, receipts{0};
	std::atomic<bool> stopping{false};
	int port = 0;

	explicit Mock(Script script_) : script(std::move(script_))
	{
		struct sockaddr_in at = {};
		socklen_t length = sizeof at;
		at.sin_family = AF_INET;
		at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 128) ||
		    getsockname(listener, (struct sockaddr *)&at, &length))
			throw std::runtime_error("no loopback socket");
		port = ntohs(at.sin_port);
		acceptor = std::thread([this] { accept_all(); });
	}
	Mock(const Mock &) = delete;
	~Mock()
	{
		stopping = true;
		acceptor.join();
		close(listener);
		for (std::thread &thread : threads)
			thread.join();
	}
	std::string url(const std::string &scheme = "http", const std::string &host = "127.0.0.1") const
	{
		return scheme + "://" + host + ":" + std::to_string(port) + "/v1";
	}
	std::vector<std::string> requests()
	{
		std::lock_guard<std::mutex> lock(mutex);
		return seen;
	}
	void note(const std::string &request)
	{
		std::lock_guard<std::mutex> lock(mutex);
		seen.push_back(request);
		receipts++;
	}

      private:
	void accept_all()
	{
		while (!stopping) {
			struct pollfd ready = {listener, POLLIN, 0};
			if (poll(&ready, 1, 10) <= 0)
				continue;
			int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
			if (fd < 0)
				continue;
			connections++;
			threads.emplace_back([this, fd] {
				Connection connection{*this, fd, "", 0};
				script(connection);
				close(fd);
			});
		}
	}
	Script script;
	int listener = -1;
	std::thread acceptor;
	std::vector<std::thread> threads;
	std::vector<std::string> seen;
	std::mutex mutex;
};

inline bool Connection::wait_readable(int ms)
{
	struct pollfd ready = {fd, POLLIN, 0};
	for (int waited = 0; waited < ms && !mock.stopping; waited += 10)
		if (poll(&ready, 1, 10) > 0)
			return true;
	return false;
}

inline bool Connection::read_request()
{
	std::string got;
	size_t need = 0;
	while (!need || got.size() < need) {
		char bytes[65536];
		if (!wait_readable(20000))
			return false;
		ssize_t n = recv(fd, bytes, sizeof bytes, 0);
		if (n <= 0)
			return false;
		got.append(bytes, (size_t)n);
		size_t end = got.find("\r\n\r\n"), length = got.find("Content-Length: ");
		if (!need && end != std::string::npos)
			need = end + 4 + (length < end ? std::stoul(got.substr(length + 16)) : 0);
	}
	request = got;
	served++;
	mock.note(got);
	return true;
}

inline std::string reply(const std::string &status, const std::string &headers, const std::string &body)
{
	return "HTTP/1.1 " + status + "\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
	       body;
}

/* A whole good answer; `message` and `more` replace and add members. */
inline std::string
answer(const std::string &message = "\"content\":\"yes\"", const std::string &finish = "\"stop\"",
       const std::string &more = ",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}")
{
	return "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":"
	       "{\"role\":\"assistant\"," +
	       message + "},\"finish_reason\":" + finish + "}]" + more + "}";
}

inline std::string error_body(const std::string &message, const std::string &type, const std::string &code,
			      const std::string &param = "null")
{
	return "{\"error\":{\"message\":\"" + message + "\",\"type\":" + type + ",\"param\":" + param +
	       ",\"code\":" + code + "}}";
}

inline const std::string REQUEST =
	"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"why?\"}],\"temperature\":0,\"max_tokens\":64,"
	"\"n\":1}";

/* A key that is in no environment and no file. */
struct Key {
	struct teacher_key key = {};
	std::string text;
	explicit Key(std::string text_ = CANARY) : text(std::move(text_))
	{
		key.text = text.data();
		key.n = text.size();
	}
};

struct Slot {
	std::vector<char> head, body;
	struct teacher_slot slot = {};
	explicit Slot(size_t head_room = TEACHER_HEAD_MAX, size_t body_room = 256 << 10)
	    : head(head_room), body(body_room)
	{
		slot.head = head.data();
		slot.head_room = head_room;
		slot.body = body.data();
		slot.body_room = body_room;
	}
	std::string raw() const
	{
		return std::string(slot.head, slot.head_n) + std::string(slot.body, slot.body_n);
	}
};

struct Asked {
	int replies = 0;
	struct teacher_outcome outcome = {};
	struct teacher_exchange exchange = {};
	struct teacher_error error = {};
	struct teacher_usage usage = {};
	enum teacher_cause cause = TEACHER_USABLE;
	std::string content, finish_reason, model, request_id, raw;
	bool other_model = false;
	unsigned changes = 0;

	/* Every byte that this room gave out. */
	std::string everything() const
	{
		return content + finish_reason + model + request_id + raw + outcome.reason + exchange.detail +
		       error.message + error.type + error.code + error.param;
	}
};

inline void take_reply(void *context, const struct teacher_reply *reply)
{
	Asked *a = (Asked *)context;
	a->replies++;
	a->outcome = reply->outcome;
	a->exchange = reply->exchange;
	a->error = reply->error;
	a->usage = reply->answer.usage;
	a->cause = reply->answer.cause;
	a->content = reply->answer.content ? std::string(reply->answer.content, reply->answer.n) : "";
	a->finish_reason = reply->answer.finish_reason;
	a->model = reply->answer.model;
	a->other_model = reply->answer.other_model;
	a->request_id = reply->request_id;
	a->changes = reply->changes;
	if (reply->slot)
		a->raw = std::string(reply->slot->head, reply->slot->head_n) +
			 std::string(reply->slot->body, reply->slot->body_n);
}

/* Does any run of eight bytes of the key stand in text? */
inline bool shows_key(const std::string &text, const std::string &key = CANARY)
{
	for (size_t i = 0; i + TEACHER_KEY_RUN <= key.size(); i++)
		if (text.find(key.substr(i, TEACHER_KEY_RUN)) != std::string::npos)
			return true;
	return false;
}

/* One who asks one teacher, one question at a time. */
struct Client {
	Key key;
	Slot slot;
	struct teacher_openai_config config = {};
	std::string url;
	struct teacher_source *source = nullptr;
	struct err err = {};

	explicit Client(const std::string &url_, size_t body_room = 256 << 10)
	    : slot(TEACHER_HEAD_MAX, body_room), url(url_)
	{
		config.http.base_url = url.c_str();
		config.http.key = &key.key;
		config.http.max_concurrent = 1;
		config.http.connect_timeout = 5;
		config.http.timeout = 20;
		config.model = "m";
	}
	Client(const Client &) = delete;
	~Client()
	{
		if (source)
			source->close(source);
	}
	bool open()
	{
		if (!source)
			source = teacher_openai_open(&config, &err);
		return source;
	}
	Asked ask(const std::string &body = REQUEST, const char *client_id = nullptr)
	{
		Asked asked;
		struct teacher_question question = {};
		if (!open())
			return asked;
		question.tag = 77;
		question.body = body.data();
		question.body_n = body.size();
		question.client_id = client_id;
		question.slot = &slot.slot;
		if (source->ask(source, &question, &err))
			return asked;
		for (int i = 0; i < 300 && !asked.replies; i++)
			if (source->poll(source, 0.1, take_reply, &asked, &err) < 0)
				break;
		return asked;
	}
};

#endif
