/*
 * What machine and load generator can do at most: one thread, epoll, the same answer to every line.
 *
 *   server SOCKET ANSWER_BYTES
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define EVENTS 256

static char *answer;
static size_t answer_bytes;

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (strlen(path) >= sizeof address.sun_path) return -1;
	strcpy(address.sun_path, path);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0) return -1;
	return fd;
}

static void watch(int poll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

static void serve(int fd)
{
	char request[512];
	ssize_t got = read(fd, request, sizeof request);
	/* A request comes in one piece here; what has no newline and no end is waited for. */
	if (got > 0 && memchr(request, '\n', (size_t)got) == NULL) return;
	if (got > 0 && write(fd, answer, answer_bytes) < 0) perror("write");
	close(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	if (argc < 3) return 2;
	answer_bytes = (size_t)atol(argv[2]);
	answer = malloc(answer_bytes);
	memset(answer, 'a', answer_bytes);
	signal(SIGPIPE, SIG_IGN);
	int listener = listen_at(argv[1]), poll = epoll_create1(EPOLL_CLOEXEC);
	if (listener < 0) return 1;
	watch(poll, listener);
	for (;;) {
		int ready = epoll_wait(poll, events, EVENTS, -1);
		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;
			if (fd != listener) serve(fd);
			else
				while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) watch(poll, fd);
		}
	}
}
