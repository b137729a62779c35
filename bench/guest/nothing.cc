// The dynamically linked program whose start sys.fork_exec_dynamic measures.
int main() { return 0; }
