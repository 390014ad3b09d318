from presa.cli import main

main()
