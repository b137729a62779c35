// A payload for tests: needs libstdc++ and libc when linked dynamically.
#include <iostream>

int main(int argc, char** argv) {
  std::cout << "hello";
  for (int i = 1; i < argc; ++i) std::cout << ' ' << argv[i];
  std::cout << std::endl;
  return argc;
}
