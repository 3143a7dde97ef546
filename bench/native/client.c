/*
 * The least that a client can do: ask the broker, print the token. Nothing is checked that `cms token` checks.
 *
 *   client SOCKET REQUEST
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char answer[8192];
	static const char mark[] = "auth=Bearer ";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = 0;
	ssize_t got;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (argc < 3 || fd < 0 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
	strcpy(address.sun_path, argv[1]);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return 69;
	if (write(fd, argv[2], strlen(argv[2])) < 0 || shutdown(fd, SHUT_WR) != 0) return 74;
	while (length < sizeof answer - 1 && (got = read(fd, answer + length, sizeof answer - 1 - length)) > 0)
		length += (size_t)got;
	char *token = strstr(answer, mark);
	if (token == NULL) return 75;
	token += sizeof mark - 1;
	token[strcspn(token, "\001")] = '\0';
	return puts(token) < 0 ? 74 : 0;
}
