// What the debugger's tests debug. Linked at an address of its own, so that its breakpoints, which belong to virtual addresses, are nobody else's.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile int watched = 1;

// The address of each kernel symbol that is named.
static void symbols(int count, char** names) {
  FILE* list = fopen("/proc/kallsyms", "r");
  char line[512], name[256];
  unsigned long address;
  char type;
  while (list != NULL && fgets(line, sizeof line, list) != NULL) {
    if (sscanf(line, "%lx %c %255s", &address, &type, name) != 3) continue;
    for (int i = 0; i < count; ++i) {
      if (strcmp(name, names[i]) == 0) printf("%s=%#lx\n", name, address);
    }
  }
}

__attribute__((noinline)) int add(int left, int right) {
  const int sum = left + right;
  watched = sum;
  return sum;
}

__attribute__((noinline)) double scale(double value, double factor) { return value * factor; }

int main(int argc, char** argv) {
  if (argc > 2 && strcmp(argv[1], "symbols") == 0) {
    symbols(argc - 2, argv + 2);
    puts("ready");
    fflush(stdout);
    // Again and again until somebody types: a system call, and a store to a variable of the kernel that changes it.
    struct pollfd input = {.fd = 0, .events = POLLIN};
    for (int i = 0; poll(&input, 1, 20) == 0; ++i) {
      const int file = open("/proc/sys/kernel/panic", O_WRONLY);
      if (file < 0 || write(file, i & 1 ? "7\n" : "8\n", 2) != 2) return 2;
      close(file);
    }
    return 3;
  }
  if (argc >= 2 && strcmp(argv[1], "wait") == 0) {
    symbols(argc - 2, argv + 2);
    puts("ready");
    fflush(stdout);
    for (;;) pause();
  }
  if (argc == 2 && strcmp(argv[1], "fault") == 0) watched = *(volatile int*)16;
  const int stays = argc == 2 && strcmp(argv[1], "panic-and-stay") == 0;
  if (stays) {
    const int file = open("/proc/sys/kernel/panic", O_WRONLY);
    if (file < 0 || write(file, "0", 1) != 1) return 6;
  }
  if (stays || (argc == 2 && strcmp(argv[1], "panic") == 0)) {
    const int file = open("/proc/sysrq-trigger", O_WRONLY);
    return write(file, "c", 1) == 1 ? 4 : 5;
  }
  const int sum = add(argc, 40);
  return scale(sum, 0.5) == 20.5 ? sum : 1;
}
