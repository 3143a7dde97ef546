/*
 * A closed loop of clients on a UNIX socket: each connects, asks one line, closes its side, reads to the
 * end, and begins again.
 *
 *   load SOCKET REQUEST ANSWER_BYTES REQUESTS CLIENTS SILENT     prints one line of JSON
 *
 * SILENT connections are open all the while and say nothing. An answer of another length counts as wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512
#define LONGEST_SECONDS 120

struct client {
	int fd;
	size_t received;
	uint64_t began;
};

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static struct client *clients;
static uint64_t *latencies;
static char request[600];
static size_t request_bytes, answer_bytes;
static long begun, ended, wrong, total;
static int poll_fd;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* A full backlog makes this wait, as it does any client. */
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
	perror("connect");
	exit(1);
}

static void begin(int index)
{
	struct client *client = &clients[index];
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)index };
	begun++;
	client->received = 0;
	client->began = now();
	client->fd = dial();
	if (send(client->fd, request, request_bytes, MSG_NOSIGNAL) < 0) wrong++;
	/* As exim does; there are servers that wait for it. */
	shutdown(client->fd, SHUT_WR);
	fcntl(client->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

static void end(int index)
{
	struct client *client = &clients[index];
	latencies[ended++] = now() - client->began;
	if (client->received != answer_bytes) wrong++;
	close(client->fd);
	if (begun < total) begin(index);
}

static void receive(int index)
{
	static char buffer[65536];
	struct client *client = &clients[index];
	ssize_t got;
	while ((got = read(client->fd, buffer, sizeof buffer)) > 0) client->received += (size_t)got;
	if (got == 0 || errno != EAGAIN) end(index);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static double quantile(double share)
{
	return (double)latencies[(long)(share * (double)(total - 1))] / 1000.0;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	struct rlimit files;
	if (argc < 7 || strlen(argv[1]) >= sizeof address.sun_path || strlen(argv[2]) > sizeof request - 2) return 2;
	strcpy(address.sun_path, argv[1]);
	request_bytes = (size_t)sprintf(request, "%s\n", argv[2]);
	answer_bytes = (size_t)atol(argv[3]);
	total = atol(argv[4]);
	int count = atoi(argv[5]), silent = atoi(argv[6]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	alarm(LONGEST_SECONDS);
	clients = calloc((size_t)count, sizeof *clients);
	latencies = calloc((size_t)total, sizeof *latencies);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < silent; i++) dial();
	/* The server has taken them all before the clock starts. */
	if (silent > 0) usleep(200000);
	uint64_t began = now();
	for (int i = 0; i < count && begun < total; i++) begin(i);
	while (ended < total) {
		int ready = epoll_wait(poll_fd, events, EVENTS, 1000);
		for (int i = 0; i < ready; i++) receive((int)events[i].data.u32);
	}
	double seconds = (double)(now() - began) / 1e9;
	qsort(latencies, (size_t)total, sizeof *latencies, compare);
	printf("{\"perSecond\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"wrong\":%ld}\n", (double)total / seconds, quantile(0.5),
	       quantile(0.99), wrong);
	return wrong > 0;
}
