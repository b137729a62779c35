/* Runs in the virtual machine. */
#include <stdio.h>
#include <sys/utsname.h>

int main(int argc, char** argv) {
  struct utsname name;
  uname(&name);
  printf("hello, %s, from %s %s on %s\n", argc > 1 ? argv[1] : "world", name.sysname, name.release, name.machine);
  return argc > 2 ? 3 : 0;
}
