package oracle;

oneway interface IListener {
  void heard(String text);
}
