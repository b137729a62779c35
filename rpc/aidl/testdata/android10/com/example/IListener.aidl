package com.example;
oneway interface IListener {
  void changed(String name, int by);
  void closed(in String[] names);
}
