// Three files of one source: a program, the library that it links, and the library that that one links.
#if defined(INNER)
int inner() { return 42; }
#elif defined(OUTER)
int inner();
int outer() { return inner(); }
#else
int outer();
int main() { return outer(); }
#endif
