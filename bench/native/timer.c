/*
 * Times whole processes from fork() to their end, interleaved: every round runs each command once, and each round begins
 * with another one. Commands come on stdin, one a line, fields separated by tabs: NAME=VALUE … -- program arguments …
 * Nothing else is in their environment, and their output goes to /dev/null.
 *
 *   timer ROUNDS < commands     prints: round command nanoseconds peak_rss_kb exit_status
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_COMMANDS 64
#define MOST_FIELDS 64

struct command {
	char *env[MOST_FIELDS];
	char *argv[MOST_FIELDS];
};

static struct command commands[MOST_COMMANDS];
static int count;

static void parse(char *line)
{
	struct command *command = &commands[count++];
	int env = 0, args = 0, after = 0;
	for (char *field = strtok(line, "\t\n"); field; field = strtok(NULL, "\t\n")) {
		if (!after && strcmp(field, "--") == 0) after = 1;
		else if (after && args < MOST_FIELDS - 1) command->argv[args++] = strdup(field);
		else if (!after && env < MOST_FIELDS - 1) command->env[env++] = strdup(field);
	}
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void run(struct command *command)
{
	int null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	close(null);
	execve(command->argv[0], command->argv, command->env);
	_exit(127);
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;
	int rounds = argc > 1 ? atoi(argv[1]) : 20;
	while (getline(&line, &size, stdin) > 0 && count < MOST_COMMANDS) parse(line);
	for (int round = 0; round < rounds; round++) {
		for (int turn = 0; turn < count; turn++) {
			int index = (round + turn) % count, status;
			struct rusage usage;
			fflush(stdout);
			uint64_t began = now();
			pid_t child = fork();
			if (child < 0) return 1;
			if (child == 0) run(&commands[index]);
			if (wait4(child, &status, 0, &usage) < 0) return 1;
			uint64_t took = now() - began;
			printf("%d %d %llu %ld %d\n", round, index, (unsigned long long)took, usage.ru_maxrss,
			       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		}
	}
	return 0;
}
