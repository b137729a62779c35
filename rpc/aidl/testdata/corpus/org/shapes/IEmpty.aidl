package org.shapes;
interface IEmpty {}
