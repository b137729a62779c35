// The smallest payload: says where it runs and what it was given.
#include <stdio.h>
#include <sys/utsname.h>

int main(int argc, char** argv) {
  struct utsname system;
  if (uname(&system) != 0) return 1;
  printf("Hello from %s %s on %s\n", system.sysname, system.release, system.machine);
  for (int i = 1; i < argc; ++i) printf("argument %d: %s\n", i, argv[i]);
  return 0;
}
